"""The tokenizer ``wordpiece`` as integer arithmetic in a loop over letters, for all words of all texts at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor, nn
from torch._higher_order_ops.while_loop import while_loop

from zoo import SpecError
from zoo_text.front_hashing import KeyTable
from zoo_text.front_tables import Table
from zoo_text.front_words import WordLetters, ones
from zoo_text.tokenizers import UNKNOWN
from zoo_text.wordpiece import INSIDE, MOST_LETTERS, WordPieces

_BUSY = 2  # its place in the state
_BEGIN, _GO_ON = 0, 1  # the two roots of the tree of pieces
_LARGEST = 2**31  # of the whole numbers that some runtimes compute with


class WordPiecesFront(nn.Module):
    """The ids of the first ``length`` pieces of each text, as ``WordPieces.ids`` has them, and their mask.

    It reads the same texts as ``WordLetters``. Each turn of the loop reads one more letter of each word: it goes down
    the tree of pieces as long as there is a branch, or else back to the end of the longest piece that it met.

    Raises SpecError if there are too many pieces.
    """

    def __init__(self, pieces: WordPieces, length: int) -> None:
        super().__init__()
        self.length = length
        self.letters = WordLetters({piece.removeprefix(INSIDE) for piece in pieces.pieces}, length)
        self.places = MOST_LETTERS + 1  # the last for all letters of a word that is too long
        self.size = len(self.letters.numbers) + 2
        edges, ids = _tree(pieces.pieces, self.letters.numbers, self.size)
        if len(ids) * self.size >= _LARGEST:
            raise SpecError(f"{len(pieces.pieces)} pieces are too many for a graph; lower vocabulary_size")
        self.branches = KeyTable(np.array([*edges], dtype=np.int64), np.array([*edges.values()], dtype=np.int64))
        self.ids = Table(np.array(ids, dtype=np.int64))

    def forward(
        self, utf8: UInt8[Tensor, "batch byte"]
    ) -> tuple[Int[Tensor, "batch piece"], Bool[Tensor, "batch piece"]]:
        """Return ids and mask."""
        letters, word, offset, _ = self.letters(utf8.to(torch.int64))
        none = (letters[..., :1] * 0).expand(-1, self.length).unsqueeze(2)
        row = none.expand(-1, -1, self.places)
        place = word * self.places + offset.clamp(0, self.places - 1)
        spelt = row.flatten(1).scatter_add(1, place, letters).view(row.shape)
        failed = ones(spelt[..., -1:] > 0)
        node = none + _BEGIN
        state: tuple[Tensor, ...] = (spelt, row + 0, 1 - failed, failed, node, none + 0, none + 0, none + 0, none + 0)
        if torch.compiler.is_exporting():
            loop: Any = while_loop
            state = loop(self._goes_on, self._step, state)
        else:
            while self._goes_on(*state):
                state = self._step(*state)
        _, found, _, failed, *_ = state
        first = ones(torch.arange(self.places, device=utf8.device) == 0)
        flat = (found * (1 - failed) + first * failed * UNKNOWN).flatten(1)
        there = ones(flat > 0)
        number = there.cumsum(1)
        kept = flat * ones(number <= self.length)
        ids = none.squeeze(2).scatter_add(1, (number - 1).clamp(0, self.length - 1), kept)
        return ids, ids > 0

    def _goes_on(self, *state: Tensor) -> Tensor:
        """Return whether any word is not at its end."""
        return (state[_BUSY] > 0).any()

    def _step(
        self,
        spelt: Tensor,
        found: Tensor,
        busy: Tensor,
        failed: Tensor,
        node: Tensor,
        start: Tensor,
        at: Tensor,
        best: Tensor,
        behind: Tensor,
    ) -> tuple[Tensor, ...]:
        """Advance by one letter; all are whole numbers, ``spelt`` and ``found`` per letter, the others per word.

        ``found`` has the id of each piece at its first letter. A word is ``busy`` until it is read or has ``failed``;
        for the piece that begins at ``start``, ``at`` is the next letter, ``best`` the longest piece met so far, and
        ``behind`` the place after that.
        """
        letter = spelt.gather(2, at)
        child = self._child(node, letter) * busy
        alive = child > 0
        piece = self.ids(child)
        best = torch.where(piece > 0, piece, best)
        behind = torch.where(piece > 0, at + 1, behind)
        cut = ~alive & (best > 0) & (busy > 0)
        stuck = ~alive & (best == 0) & (busy > 0)
        failed = failed + (stuck & ((letter > 0) | (at > start))).to(torch.int64)
        place = torch.arange(self.places, device=spelt.device)
        found = torch.where(cut & (place == start), best, found)
        return (
            spelt + 0,
            found,
            busy * (~stuck).to(torch.int64),
            failed,
            torch.where(alive, child, torch.where(cut, _GO_ON, node)),
            torch.where(cut, behind, start),
            torch.where(alive, at + 1, torch.where(cut, behind, at)),
            torch.where(cut, 0, best),
            behind + 0,
        )

    def _child(self, node: Tensor, letter: Tensor) -> Tensor:
        """Return the child node; 0 if there is none, as for the absence of a letter."""
        child: Tensor = self.branches((node * self.size + letter).flatten(1))
        return child.view(node.shape)


def _tree(pieces: Iterable[str], letters: Mapping[str, int], size: int) -> tuple[dict[int, int], list[int]]:
    """Return the children of nodes by node * ``size`` + letter, and the id of the piece that ends at each node or 0."""
    children: dict[int, int] = {}
    ids = [0, 0]
    for token, piece in enumerate(pieces, start=WordPieces.first_word):
        node = _GO_ON if piece.startswith(INSIDE) else _BEGIN
        for letter in piece.removeprefix(INSIDE):
            key = node * size + letters[letter]
            if key not in children:
                children[key] = len(ids)
                ids.append(0)
            node = children[key]
        ids[node] = token
    return children, ids
