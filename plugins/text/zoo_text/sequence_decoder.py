"""The decoder ``text/recurrent``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Interval
from jaxtyping import Float, Int
from torch import Tensor, nn

from zoo import Decoder, Modality, TensorSpec, modality_of
from zoo_text.autoregressive import AutoregressiveTokens
from zoo_text.encoders import token_embedding
from zoo_text.modality import TextModality


class RecurrentDecoder(Decoder):
    """Generates a text word by word: a GRU of ``width`` that starts from the latent, and reads it again at each step.

    During training, ``word_dropout`` is the fraction of words that are hidden from the GRU when it predicts the next
    word, so that it must use the latent.

    Source: Bowman et al. 2016, "Generating Sentences from a Continuous Space", arXiv 1511.06349, word dropout
    included; the GRU is of Cho et al. 2014, arXiv 1406.1078, its gates and biases as in torch.nn.GRU.
    """

    def __init__(
        self,
        modality: Modality,
        latent_dim: int,
        *,
        width: Annotated[int, Ge(1)] = 128,
        embedding_width: Annotated[int, Ge(1)] = 64,
        word_dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        train_embedding: bool = True,
    ) -> None:
        super().__init__()
        text = modality_of(TextModality, "text", modality, component="the decoder 'recurrent'")
        self.latent_dim = latent_dim
        self.max_length = text.max_length
        self.token_count = text.token_count
        self.embedding = token_embedding(text, embedding_width, train_embedding=train_embedding)
        self.word_dropout = nn.Dropout1d(word_dropout)
        self.start = nn.Linear(latent_dim, width)
        self.context = nn.Linear(latent_dim, embedding_width)
        self.gru = nn.GRU(embedding_width, width, batch_first=True)
        self.output = nn.Linear(width, self.token_count)

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """``ids``, zero after the end of the text, and ``mask``, both as long as the longest text."""
        axes = ("batch", self.max_length)
        return {"ids": TensorSpec("int64", axes, 0, self.token_count - 1), "mask": TensorSpec("bool", axes, 0, 1)}

    def forward(self, latent: Float[Tensor, "batch latent"]) -> AutoregressiveTokens:
        """Return the distribution over texts given each latent."""
        latent = latent.to(self.output.weight.dtype)
        start, context = torch.tanh(self.start(latent)), self.context(latent)
        return AutoregressiveTokens(_GivenLatent(self, start, context), length=self.max_length)


@dataclass(frozen=True)
class _GivenLatent:
    """The decoder's GRU where each row has its latent."""

    decoder: RecurrentDecoder
    start: Float[Tensor, "batch state"]
    context: Float[Tensor, "batch embedding"]

    def all_logits(self, previous: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token id"]:
        """Return the logits of the id after each of ``previous``."""
        words = self.decoder.word_dropout(self.decoder.embedding(previous))
        states, _ = self.decoder.gru(words + self.context.unsqueeze(1), self.start.unsqueeze(0))
        logits: Tensor = self.decoder.output(states)
        return logits

    def next_logits(
        self, previous: Int[Tensor, " batch"], state: Float[Tensor, "batch state"]
    ) -> tuple[Float[Tensor, "batch id"], Float[Tensor, "batch state"]]:
        """Return the logits of the id after ``previous``, and the state after it."""
        word = self.decoder.embedding(previous) + self.context
        state = torch.gru_cell(word, state, *self.decoder.gru.parameters())
        return self.decoder.output(state), state
