"""The encoder ``text/lstm``."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Interval
from jaxtyping import Bool, Float
from torch import Tensor, nn

from zoo import Encoder, Modality, Tensors, modality_of
from zoo_text.encoders import masked_mean, token_embedding
from zoo_text.modality import TextModality
from zoo_text.packed_lstm import PackedLSTM


class LSTMEncoder(Encoder):
    """Reads a text word by word: ``depth`` LSTM layers of ``width``, then a tanh layer for each number in ``hidden``.

    The features are computed from the ``last`` state of each direction, or from the ``mean`` of all states. For a text
    without words, this state is zero. ``dropout`` applies to the embedded words and to each layer's states.

    An autoencoder of ``width = 64, hidden = [64, 64]``, a latent of 64 or more and the decoder ``bag-of-words`` with
    ``depth = 0`` is a word embedding, LSTM(64), tanh, tanh and a softmax over the vocabulary.

    Source: Hochreiter & Schmidhuber 1997, "Long Short-Term Memory"; both directions as in Schuster & Paliwal 1997,
    "Bidirectional Recurrent Neural Networks".
    """

    def __init__(
        self,
        modality: Modality,
        *,
        width: Annotated[int, Ge(1)] = 64,
        depth: Annotated[int, Ge(1)] = 1,
        bidirectional: bool = False,
        pooling: Literal["last", "mean"] = "last",
        hidden: tuple[Annotated[int, Ge(1)], ...] = (),
        embedding_width: Annotated[int, Ge(1)] = 64,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        train_embedding: bool = True,
    ) -> None:
        super().__init__()
        text = modality_of(TextModality, "text", modality, component="the encoder 'lstm'")
        states = 2 * width if bidirectional else width
        sizes = [states, *hidden]
        self.feature_dim = sizes[-1]
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.embedding = token_embedding(text, embedding_width, train_embedding=train_embedding)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            PackedLSTM(before, width, bidirectional=bidirectional)
            for before in [embedding_width, *[states] * (depth - 1)]
        )
        layers = [(nn.Linear(before, after), nn.Tanh()) for before, after in pairwise(sizes)]
        self.hidden = nn.Sequential(*(module for layer in layers for module in layer))

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return one row of features per text."""
        mask = tensors["mask"]
        lengths = mask.sum(dim=1).clamp(min=1)  # a text without words is read as one word, and then masked
        states = self.dropout(self.embedding(tensors["ids"]))
        for layer in self.layers:
            states = self.dropout(layer(states, lengths))
        pooled = self._last(states, mask) if self.pooling == "last" else masked_mean(states, mask)
        features: Tensor = self.hidden(pooled)
        return features

    def _last(
        self, states: Float[Tensor, "batch token state"], mask: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch state"]:
        """Return the state after the last word of each direction; zero if there are no words."""
        place = (mask.sum(dim=1) - 1).clamp(min=0)
        last = states.gather(1, place[:, None, None].expand(-1, 1, states.shape[2])).squeeze(1)
        if self.bidirectional:
            half = last.shape[1] // 2
            last = torch.cat([last[:, :half], states[:, 0, half:]], dim=1)  # backwards, the first word is the last
        return last * mask.any(dim=1, keepdim=True).to(last.dtype)
