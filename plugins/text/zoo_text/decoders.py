"""Decoders of text."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, ClassVar

from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Decoder, Modality, SpecError, TensorSpec, modality_of
from zoo_text.likelihoods import BagOfWords
from zoo_text.modality import TextModality


class BagOfWordsDecoder(Decoder):
    """From a latent through ``depth`` layers to the probability of each word, regardless of order.

    Source: Miao et al. 2016, "Neural Variational Inference for Text Processing", arXiv 1511.06038, section 3.
    """

    parity_ulps: ClassVar[int] = 64
    parity_reason: ClassVar[str] = (
        "a probability's relative error is its logarithm's absolute error: the rounding of a logit of up to 16"
    )

    def __init__(
        self,
        modality: Modality,
        latent_dim: int,
        *,
        width: Annotated[int, Ge(1)] = 256,
        depth: Annotated[int, Ge(0)] = 1,
    ) -> None:
        super().__init__()
        text = modality_of(TextModality, "text", modality, component="the decoder 'bag-of-words'")
        if text.token_count == text.first_word:
            raise SpecError(
                "a bag-of-words decoder needs a word to decode to; fit the text modality on some text first"
            )
        self.latent_dim = latent_dim
        self.token_count = text.token_count
        self.first_word = text.first_word
        self.draws = text.max_length
        sizes = [latent_dim, *[width] * depth]
        layers = [(nn.Linear(before, after), nn.GELU()) for before, after in pairwise(sizes)]
        self.layers = nn.Sequential(*(module for layer in layers for module in layer))
        self.output = nn.Linear(sizes[-1], self.token_count - self.first_word)

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """``word_probability``, one column per id."""
        return {"word_probability": TensorSpec("float32", ("batch", self.token_count), 0, 1)}

    def forward(self, latent: Float[Tensor, "batch latent"]) -> BagOfWords:
        """Return the distribution over bags of words given each latent."""
        logits = self.output(self.layers(latent.to(self.output.weight.dtype)))
        return BagOfWords(logits, first_word=self.first_word, draws=self.draws)
