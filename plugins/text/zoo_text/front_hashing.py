"""Words and pairs of numbers to ids by a hash, in whole numbers below 2²⁴: some runtimes divide others inexactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor, nn

from zoo import SpecError
from zoo_text.front_tables import Table

_BITS = 24  # of the largest number, which float32 holds exactly
_TRIED_MULTIPLIERS = 1000
_TRIED_BUCKETS = 64
_TRIED_BEGINS = 32


class WordTable(nn.Module):
    """Maps letters, each with the number of its word and its place in the word, to the ids of known words.

    A word is written as a row of letters; the last place only says whether it has more letters than the longest known
    word. A hash, the sum of the letters times random weights of their places, selects a bucket of known words, which
    are then compared with the word.
    """

    weights: Tensor

    def __init__(self, ids: Mapping[str, int], letters: Mapping[str, int]) -> None:
        """``letters`` numbers the letters of known words from 1; any other letter has the number after the last."""
        super().__init__()
        self.longest = max(map(len, ids), default=0)
        self.other_letter = len(letters) + 1
        bits = max(1, _BITS - self.other_letter.bit_length() - (self.longest + 1).bit_length())
        spelt = np.zeros((len(ids), self.longest + 1), dtype=np.int64)
        for row, word in enumerate(ids):
            spelt[row, : len(word)] = [letters[letter] for letter in word]
        weights = np.random.default_rng(0).integers(1, 2**bits, size=spelt.shape[1])
        buckets, order = _buckets(spelt @ weights)
        self.bucket_count = len(buckets) - 1
        self.most_in_a_bucket = int(np.diff(buckets).max(initial=1))
        none = np.full((self.most_in_a_bucket, self.longest + 1), -1)
        self.spelt = Table(np.concatenate([spelt[order], none]))
        self.starts = Table(buckets[:-1])
        self.ids = Table(np.concatenate([np.array([*ids.values()], dtype=np.int64)[order], none[:, 0]]))
        self.register_buffer("weights", torch.from_numpy(weights), persistent=False)

    def forward(
        self,
        letters: Int[Tensor, "batch piece"],
        word: Int[Tensor, "batch piece"],
        offset: Int[Tensor, "batch piece"],
        none: Int[Tensor, "batch word"],
    ) -> Int[Tensor, "batch word"]:
        """Return the ids of the words; 0 or less for an unknown word.

        ``none`` holds one zero per requested word; the letter 0 means that there is none.
        """
        places = self.longest + 1
        empty = none.unsqueeze(2).expand(-1, -1, places)
        place = word * places + offset.clamp(0, self.longest)
        spelt = empty.flatten(1).scatter_add(1, place, letters).view(empty.shape).clamp(max=self.other_letter)
        ahead = torch.arange(self.most_in_a_bucket, device=letters.device)
        row = self.starts((spelt * self.weights).sum(2) % self.bucket_count).unsqueeze(2) + ahead
        others = (self.spelt(row) != spelt.unsqueeze(2)).to(torch.int64).sum(3)
        found: Tensor = (self.ids(row) * (others == 0).to(torch.int64)).sum(2)
        return found


class PairTable(nn.Module):
    """Maps distinct pairs of whole numbers to values above zero; 0 for an unknown pair.

    One hash of a pair gives its group, another one its distance from where the group begins in the table. No two pairs
    have the same row, so a single comparison is enough.
    Source: hash and displace, Pagh 1999, "Hash and displace: efficient evaluation of minimal perfect hash functions".
    """

    def __init__(self, pairs: Sequence[tuple[int, int]], values: Sequence[int], *, below: tuple[int, int]) -> None:
        """Every pair, known or not, consists of numbers from 0 up to, but not including, those of ``below``.

        Raises SpecError if these are too large.
        """
        super().__init__()
        known = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        self.groups, self.distances = len(known) // 2 + 1, len(known) + len(known) // 4 + 1
        generator = np.random.default_rng(0)
        highest = [(2**_BITS - other) // one for one, other in (below, below[::-1])]  # of the multipliers
        for _ in range(_TRIED_MULTIPLIERS if min(highest) > 0 else 0):
            self.left, self.right = (int(generator.integers(1, one + 1)) for one in highest)
            group, distance = self._hashes(known[:, 0], known[:, 1])
            if len(np.unique(group * self.distances + distance)) == len(known):
                break
        else:
            raise SpecError(f"a vocabulary of {below[0]} pieces is too large for a graph; lower vocabulary_size")
        begins = _placed(group, distance, self.groups, self.distances, generator)
        rows = np.full((2 * self.distances, 3), -1, dtype=np.int64)
        rows[begins[group] + distance] = np.column_stack([known, np.array(values, dtype=np.int64)])
        self.begins, self.rows = Table(begins), Table(rows)

    def forward(self, left: Int[Tensor, "*shape"], right: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """Return the values of some pairs."""
        group, distance = self._hashes(left, right)
        row = self.rows(self.begins(group) + distance)
        same = (row[..., 0] == left) & (row[..., 1] == right)
        found: Tensor = row[..., 2] * same.to(torch.int64)
        return found

    def _hashes(self, left: Any, right: Any) -> tuple[Any, Any]:
        """Return group and distance, of arrays or of tensors."""
        return (left * self.left + right) % self.groups, (right * self.right + left) % self.distances


def _placed(
    group: NDArray[np.int64], distance: NDArray[np.int64], groups: int, distances: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return where each group begins, below ``distances``, so that no two pairs have the same row."""
    counts = np.bincount(group, minlength=groups)
    members = np.split(distance[np.argsort(group, kind="stable")], np.cumsum(counts)[:-1])
    taken = np.zeros(2 * distances, dtype=bool)
    begins = np.zeros(groups, dtype=np.int64)
    for one in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]:
        fits = np.zeros(0, dtype=np.int64)
        while not len(fits):
            tried = generator.integers(0, distances, _TRIED_BEGINS)
            fits = tried[~taken[tried[:, None] + members[one]].any(axis=1)]
        begins[one] = fits[0]
        taken[fits[0] + members[one]] = True
    return begins


def _buckets(hashes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each bucket begins, and the end of the last; and the words in the order of their buckets.

    Several numbers of buckets are tried, about two per word; the one whose fullest bucket is smallest is taken.
    """
    counts = range(2 * len(hashes) + 1, 2 * len(hashes) + 1 + _TRIED_BUCKETS)
    best = min(counts, key=lambda count: int(np.bincount(hashes % count, minlength=1).max()))
    sizes = np.bincount(hashes % best, minlength=best)
    return np.concatenate([[0], np.cumsum(sizes)]), np.argsort(hashes % best, kind="stable")
