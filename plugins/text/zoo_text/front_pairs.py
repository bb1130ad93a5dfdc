"""The tokenizer ``bpe`` as integer arithmetic in a loop, so that a graph reads UTF-8 and needs no tokenizer."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from numpy.typing import NDArray
from torch import Tensor, nn
from torch._higher_order_ops.while_loop import while_loop

from zoo_text.bpe import BytePairs
from zoo_text.front_characters import END
from zoo_text.front_hashing import PairTable
from zoo_text.front_packing import packed
from zoo_text.front_reading import CharacterRows, used
from zoo_text.front_tables import Table

_OTHER, _LETTER, _NUMBER, _SPACE, _BLANK = range(5)  # classes; the blank is U+0020


class BytePairsFront(nn.Module):
    """The ids of the first ``length`` pieces of each text, as ``BytePairs.ids`` has them, and their mask.

    Zeros at a text's end are padding, so that no text ends with U+0000; letters that are newer than this Python's
    Unicode are punctuation. Each turn of the loop joins one pair in each part of each text: the first of those that
    were learnt earliest. Pairs of different parts never touch, so they are joined at the same time. A joined piece
    stays at its first byte and leaves zeros behind; each piece knows the place of the next one in its part.

    Source: Sennrich et al. 2016, arXiv 1508.07909; texts are parted as in Radford et al. 2019, "Language Models are
    Unsupervised Multitask Learners", by the pattern in that paper's code.
    """

    def __init__(self, pairs: BytePairs, length: int) -> None:
        super().__init__()
        self.length = length
        self.parts = Parts()
        learnt = json.loads(bytes(pairs.state()["tokenizer"]))["model"]
        vocabulary: dict[str, int] = {piece: place + 1 for piece, place in learnt["vocab"].items()}  # 0 is none
        merges = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in learnt["merges"]]
        self.no_rank = len(merges) + 1  # the earlier a pair was learnt, the smaller is its rank
        self.ranks = PairTable(
            [(vocabulary[left], vocabulary[right]) for left, right in merges],
            range(1, len(merges) + 1),
            below=(len(vocabulary) + 1, len(vocabulary) + 1),
        )
        self.merged = Table(np.array([0, *(vocabulary[left + right] for left, right in merges), 0], dtype=np.int64))
        self.first = Table(np.array([vocabulary[character] for character in _byte_characters()], dtype=np.int64))

    def forward(
        self, utf8: UInt8[Tensor, "batch byte"]
    ) -> tuple[Int[Tensor, "batch piece"], Bool[Tensor, "batch piece"]]:
        """Return ids and mask."""
        codes = utf8.to(torch.int64)
        there = used(codes)
        begins = self.parts(codes, there)
        none = codes[..., :1] * 0
        place = torch.arange(1, codes.shape[1] + 1, device=codes.device)
        goes_on = torch.cat([there[..., 1:] * (1 - begins[..., 1:]), none], dim=1)
        behind_all = torch.full_like(codes, codes.shape[1])
        state = (
            torch.cat([self.first(codes) * there, none], dim=1),
            torch.cat([torch.where(goes_on > 0, place, behind_all), behind_all[..., :1]], dim=1),
            torch.cat([begins.cumsum(1), none], dim=1),
            none,
        )
        if torch.compiler.is_exporting():
            loop: Any = while_loop
            tokens, *_ = loop(self._goes_on, self._join, state)
        else:
            while self._goes_on(*state):
                state = self._join(*state)
            tokens = state[0]
        ids = packed((tokens + 1) * (tokens > 0).to(torch.int64), self.length)
        return ids, ids > 0

    def _goes_on(self, tokens: Tensor, following: Tensor, part: Tensor, best: Tensor) -> Tensor:
        """Return whether any text has just had a pair."""
        return (best < self.no_rank).any()

    def _join(
        self, tokens: Tensor, following: Tensor, part: Tensor, best: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Join the best pair of each part; ``following`` is the place of a piece's successor, the last if none."""
        rank = self.ranks(tokens, tokens.gather(1, following))
        rank = torch.where(rank > 0, rank, self.no_rank)
        best = _least(rank, part, self.no_rank)
        end = tokens.shape[1]
        place = torch.where((rank == best) & (rank < self.no_rank), torch.arange(end, device=tokens.device), end)
        joins = (place < end) & (place == _least(place, part, end))
        swallowed = torch.zeros_like(tokens).scatter_add(1, following, joins.to(torch.int64))
        joined = torch.where(joins, self.merged(rank), tokens) * (1 - swallowed.clamp(max=1))
        beyond = torch.where(joins, following.gather(1, following), following)
        return joined, beyond, part + 0, rank.amin(1, keepdim=True)


def _least(numbers: Int[Tensor, "batch place"], part: Int[Tensor, "batch place"], most: Any) -> Tensor:
    """Return, at each place, the least number of its part; none is above ``most``."""
    return torch.full_like(numbers, most).scatter_reduce(1, part, numbers, "amin").gather(1, part)


class Parts(nn.Module):
    """The beginnings of a text's parts, such as words with the blank before them; no pair joins two parts."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = CharacterRows(_classes())
        byte = np.arange(256)
        self.length = Table(1 + (byte >= 0xC0).astype(np.int64) + (byte >= 0xE0) + (byte >= 0xF0))
        self.alone = Table(np.isin(byte, list(b"stmd")).astype(np.int64))
        # For the endings 're, 've and 'll: the two letters of an ending have equal numbers.
        self.left = Table(np.select([byte == ord("r"), byte == ord("v"), byte == ord("l")], [1, 1, 2], 0))
        self.right = Table(np.select([byte == ord("e"), byte == ord("l")], [1, 2], 3))

    def forward(self, codes: Int[Tensor, "batch byte"], there: Int[Tensor, "batch byte"]) -> Int[Tensor, "batch byte"]:
        """Return 1 where a part begins; ``there`` is 1 up to a text's end."""
        kind, place = self.classes(codes)
        kind = torch.where(there > 0, kind, _SPACE)
        none = codes[..., :1] * 0
        before = torch.cat([none - 1, kind[..., :-1]], dim=1)
        ahead = torch.arange(codes.shape[1], device=codes.device) + self.length(codes)
        after = torch.cat([kind, *[none + _SPACE] * 4], dim=1).gather(1, ahead)
        space, after_space = kind >= _SPACE, before >= _SPACE
        last_space = space & (after < _SPACE)
        begins = (space & (~after_space | last_space)) | (~space & (before != kind) & (before != _BLANK))
        begins = (begins & (place == 0)).to(torch.int64)
        # Endings such as 's are separate parts, unless the text before them takes the apostrophe.
        nothing = [none] * 3
        wide = torch.cat([codes, none, none], dim=1)
        first, second = wide[..., 1:-1], wide[..., 2:]
        apostrophe = begins * (codes == ord("'")).to(torch.int64)
        short = apostrophe * self.alone(first)
        long = apostrophe * (self.left(first) == self.right(second)).to(torch.int64)
        short, long = torch.cat([*nothing, short], dim=1), torch.cat([*nothing, long], dim=1)
        within = (short + long)[..., 2:-1]
        behind = short[..., 1:-2] + long[..., :-3]
        found: Tensor = (begins * (1 - within) + behind).clamp(max=1) * there
        return found


def _classes() -> NDArray[np.int64]:
    """Return the class of each code point up to ``END``."""
    categories = [unicodedata.category(chr(point))[0] for point in range(END)]
    classes = np.zeros(END + 1, dtype=np.int64)
    for letter, kind in (("L", _LETTER), ("N", _NUMBER)):
        classes[:END][np.array(categories) == letter] = kind
    classes[
        [*range(0x09, 0x0E), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
    ] = _SPACE
    classes[0x20] = _BLANK
    return classes


def _byte_characters() -> list[str]:
    """Return the character for each byte in the JSON: its own if that is visible, else one from U+0100."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(0x100, 0x200))
    return [chr(byte if byte in seen else next(hidden)) for byte in range(256)]
