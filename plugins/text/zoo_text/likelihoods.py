"""Distributions over text."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from zoo import Tensors


class BagOfWords:
    """Words drawn independently from one distribution, regardless of order: log_prob = Σ_words log p(word).

    ``logits`` holds a column for each id from ``first_word`` on. Padding and the unknown word have no column: they add
    nothing to ``log_prob``, and their probability is zero. ``draws`` is the number of words that ``sample`` takes.
    """

    def __init__(self, logits: Float[Tensor, "batch word"], *, first_word: int, draws: int) -> None:
        self.logits = logits
        self.first_word = first_word
        self.draws = draws

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the sum of the log-probabilities of a row's words; zero if it has none."""
        log_probability = self.logits.log_softmax(dim=-1)
        words, counted = self._words(tensors)
        return (log_probability.gather(1, words) * counted).sum(dim=1)

    def mode(self) -> Tensors:
        """Return the probability of every id; zero for ids that are not words."""
        return {"word_probability": self._with_all_ids(self.logits.softmax(dim=-1))}

    def target(self, tensors: Tensors) -> Tensors:
        """Return the fraction of each id among a row's words; all zero if it has none."""
        words, counted = self._words(tensors)
        counts = torch.zeros_like(self.logits).scatter_add(1, words, counted)
        return {"word_probability": self._with_all_ids(counts / counted.sum(dim=1, keepdim=True).clamp(min=1))}

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw a bag of words; return the fraction of each id in it."""
        probability = self.logits.softmax(dim=-1)
        words = torch.multinomial(probability, self.draws, replacement=True, generator=generator)
        counts = torch.zeros_like(probability).scatter_add(1, words, torch.ones_like(words, dtype=probability.dtype))
        return {"word_probability": self._with_all_ids(counts / self.draws)}

    def _words(self, tensors: Tensors) -> tuple[Int64[Tensor, "batch length"], Float[Tensor, "batch length"]]:
        """Return the column of each token, and a mask that is 1 for words."""
        ids = tensors["ids"]
        counted = tensors["mask"] & (ids >= self.first_word)
        return (ids - self.first_word).clamp(min=0), counted.to(self.logits.dtype)

    def _with_all_ids(self, shares: Float[Tensor, "batch word"]) -> Float[Tensor, "batch vocabulary"]:
        return F.pad(shares, (self.first_word, 0))
