"""Distributions over text."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from zoo import Tensors


class BagOfWords:
    """Words drawn one by one from one distribution, in any order: a multinomial without its constant.

    ``logits`` holds a column for each id from ``first_word`` on. Padding and the unknown word have no column: they add
    nothing to ``log_prob``, and their probability is zero. ``draws`` is the number of words that ``sample`` takes.
    """

    def __init__(self, logits: Float[Tensor, "batch word"], *, first_word: int, draws: int) -> None:
        self.logits = logits
        self.first_word = first_word
        self.draws = draws

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the sum of the log-probabilities of a row's words, zero where it has none."""
        log_probability = self.logits.log_softmax(dim=-1)
        words, counted = self._words(tensors)
        return (log_probability.gather(1, words) * counted).sum(dim=1)

    def mode(self) -> Tensors:
        """Return the probability of every id, zero for those that name no word."""
        return {"word_probability": self._with_all_ids(self.logits.softmax(dim=-1))}

    def target(self, tensors: Tensors) -> Tensors:
        """Return the share that each id has among a row's words, all zero where it has none."""
        words, counted = self._words(tensors)
        counts = torch.zeros_like(self.logits).scatter_add(1, words, counted)
        return {"word_probability": self._with_all_ids(counts / counted.sum(dim=1, keepdim=True).clamp(min=1))}

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw a bag of words; return the share that each id has in it."""
        probability = self.logits.softmax(dim=-1)
        words = torch.multinomial(probability, self.draws, replacement=True, generator=generator)
        counts = torch.zeros_like(probability).scatter_add(1, words, torch.ones_like(words, dtype=probability.dtype))
        return {"word_probability": self._with_all_ids(counts / self.draws)}

    def _words(self, tensors: Tensors) -> tuple[Int64[Tensor, "batch length"], Float[Tensor, "batch length"]]:
        """Return the column of each token, and 1 where the token is a word."""
        ids = tensors["ids"]
        counted = tensors["mask"] & (ids >= self.first_word)
        return (ids - self.first_word).clamp(min=0), counted.to(self.logits.dtype)

    def _with_all_ids(self, shares: Float[Tensor, "batch word"]) -> Float[Tensor, "batch vocabulary"]:
        return F.pad(shares, (self.first_word, 0))
