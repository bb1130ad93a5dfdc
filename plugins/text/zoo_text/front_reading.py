"""UTF-8 to the rows of a table of characters: a tree whose branches are bytes."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor, nn

from zoo_text.front_characters import BEYOND, BLOCK, END, TAGS
from zoo_text.front_tables import Table

_NO_FOLLOWER = 64  # of the bytes that may follow the first of a character there are 64
_SURROGATES = range(0xD800, 0xE000)


class CharacterRows(nn.Module):
    """Maps each byte of a text to the row of its character, and to its place among the bytes of this character.

    Invalid UTF-8 is read as a character from ``END`` on.

    Source: Unicode 15, section 3.9, table 3-7.
    """

    def __init__(self, rows: NDArray[np.int64]) -> None:
        """``rows`` are those of ``Characters``."""
        super().__init__()
        tree = _Tree(int(rows[END]))
        blocks = [tree.node([-1 - row for row in block]) for block in rows[:END].reshape(-1, BLOCK).tolist()]
        wrong = tree.wrong
        for surrogate in range(_SURROGATES.start // BLOCK, _SURROGATES.stop // BLOCK):
            blocks[surrogate] = wrong
        long = [tree.node(blocks[first : first + 64]) for first in range(0, len(blocks), 64)]
        # Only the shortest spelling is valid: no block below these has so many bytes.
        long[0] = tree.node([wrong] * 32 + blocks[32:64])
        longest = tree.node([wrong] * 16 + long[16:64])
        beyond = [-1 - row for row in rows[END + 1 :].tolist()] or [wrong] * len(BEYOND)
        blocks_of_tags = [tree.node(beyond[first : first + BLOCK]) for first in range(0, len(TAGS), BLOCK)]
        private = beyond[-1]
        tagged = tree.node([wrong] * 32 + [tree.node(blocks_of_tags)] + [wrong] * 15 + [private] * 16)
        last = tree.node([private] * 16 + [wrong] * 48)
        ascii_rows = [-1 - row for row in rows[:0x80].tolist()]
        first = [
            *ascii_rows,
            *[wrong] * 66,
            *blocks[2:32],
            *long[:16],
            longest,
            wrong,
            wrong,
            tagged,
            last,
            *[wrong] * 11,
        ]
        nodes = np.array(tree.nodes, dtype=np.int64)
        byte = np.arange(256)
        follows = byte // 64 == 2
        self.first = Table(np.array(first))
        self.follows = Table(follows.astype(np.int64))
        # Neighbouring branches of a node are as far apart as the number of nodes.
        self.branch = Table(np.where(follows, byte % 64, _NO_FOLLOWER) * len(nodes))
        self.next = Table(nodes.T.reshape(-1))

    def forward(self, utf8: Int[Tensor, "batch byte"]) -> tuple[Int[Tensor, "batch byte"], Int[Tensor, "batch byte"]]:
        """Return rows and places."""
        none = utf8[..., :1] * 0
        branch = self.branch(torch.cat([utf8, none, none, none], dim=1))
        state = self.first(utf8)
        for following in (branch[..., 1:-2], branch[..., 2:-1], branch[..., 3:]):
            state = torch.where(state < 0, state, self.next(following + state.clamp(min=0)))
        follows = torch.cat([none, none, self.follows(utf8)], dim=1)
        place = follows[..., 2:] * (1 + follows[..., 1:-1] * (1 + follows[..., :-2]))
        begin = (torch.arange(utf8.shape[1], device=utf8.device) - place).clamp(min=0)
        return -1 - state.gather(1, begin), place


def used(utf8: Int[Tensor, "batch byte"]) -> Int[Tensor, "batch byte"]:
    """Return 1 up to the last byte of each text, 0 at the zeros after it."""
    some = (utf8 > 0).to(torch.int64)
    before = some.cumsum(1) - some
    return (before < some.sum(1, keepdim=True)).to(torch.int64)


class _Tree:
    """Nodes of 65 branches, the last one for a byte that may not follow; a branch is a node, or -1 - row."""

    def __init__(self, end: int) -> None:
        self.wrong = -1 - end
        self.nodes: list[tuple[int, ...]] = []
        self.known: dict[tuple[int, ...], int] = {}

    def node(self, branches: list[int]) -> int:
        """Return the number of a node, the same for equal ones."""
        key = (*branches, self.wrong)
        if key not in self.known:
            self.known[key] = len(self.nodes)
            self.nodes.append(key)
        return self.known[key]
