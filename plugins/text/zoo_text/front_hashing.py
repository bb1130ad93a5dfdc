"""Words to ids by two hashes, in integers that never overflow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor, nn

from zoo_text.front_tables import Table

_BITS = 62  # of the largest sum
_TRIED_BUCKETS = 64


class WordTable(nn.Module):
    """From letters, each with its word's number and its place in the word, to the ids of words that are known.

    A hash is the sum over a word's letters of letter times a drawn weight of the place. Places past the longest known
    word have one weight together. Two words differ in both hashes but with a probability below 2**-60.
    """

    def __init__(self, ids: Mapping[str, int], letters: Mapping[str, int], *, most_letters: int) -> None:
        """``letters`` numbers the letters of known words from 1; no word of a text has more than ``most_letters``."""
        super().__init__()
        self.longest = max(map(len, ids), default=0)
        bits = _BITS - (len(letters) + 1).bit_length() - most_letters.bit_length()
        spelt = np.zeros((len(ids), self.longest + 1), dtype=np.int64)
        for row, word in enumerate(ids):
            spelt[row, : len(word)] = [letters[letter] for letter in word]
        weights = _weights(spelt, bits)
        hashes = spelt @ weights.T
        buckets, order = _buckets(hashes[:, 0])
        self.bucket_count = len(buckets) - 1
        self.most_in_a_bucket = int(np.diff(buckets).max(initial=1))
        none = np.full(self.most_in_a_bucket, -1)
        self.first_weights, self.second_weights = Table(weights[0]), Table(weights[1])
        self.first_hashes = Table(np.concatenate([hashes[order, 0], none]))
        self.second_hashes = Table(np.concatenate([hashes[order, 1], none]))
        self.starts = Table(buckets[:-1])
        self.ids = Table(np.concatenate([np.array([*ids.values()], dtype=np.int64)[order], none]))

    def forward(
        self,
        letters: Int[Tensor, "batch piece"],
        word: Int[Tensor, "batch piece"],
        offset: Int[Tensor, "batch piece"],
        none: Int[Tensor, "batch word"],
    ) -> Int[Tensor, "batch word"]:
        """Return the ids of the words, 0 or less where none is known.

        ``none`` are zeros for as many words as are asked for; a letter 0 is none.
        """
        place = offset.clamp(0, self.longest)
        first = none.scatter_add(1, word, letters * self.first_weights(place))
        second = none.scatter_add(1, word, letters * self.second_weights(place))
        ahead = torch.arange(self.most_in_a_bucket, device=letters.device)
        row = self.starts(first % self.bucket_count).unsqueeze(2) + ahead
        first_known, second_known = self.first_hashes(row), self.second_hashes(row)
        same = (first_known == first.unsqueeze(2)) & (second_known == second.unsqueeze(2))
        found: Tensor = (self.ids(row) * same.to(torch.int64)).sum(2)
        return found


def _weights(spelt: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Draw the weights of two hashes, each of which tells the known words apart."""
    for seed in range(2**10):
        weights = np.random.default_rng(seed).integers(1, 2**bits, size=(2, spelt.shape[1]))
        if all(len(np.unique(spelt @ row)) == len(spelt) for row in weights):
            return weights
    raise AssertionError("no weights tell the words apart")


def _buckets(hashes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each bucket begins, and the end of the last; and the words in the order of their buckets.

    Of some numbers of buckets, about two a word, the one is taken whose fullest bucket holds the fewest.
    """
    counts = range(2 * len(hashes) + 1, 2 * len(hashes) + 1 + _TRIED_BUCKETS)
    best = min(counts, key=lambda count: int(np.bincount(hashes % count, minlength=1).max()))
    sizes = np.bincount(hashes % best, minlength=best)
    return np.concatenate([[0], np.cumsum(sizes)]), np.argsort(hashes % best, kind="stable")
