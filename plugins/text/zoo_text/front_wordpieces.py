"""The tokenizer ``wordpiece`` as integer arithmetic in a loop over letters, for all words of all texts at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor, nn
from torch._higher_order_ops.while_loop import while_loop

from zoo_text.front_characters import characters_of
from zoo_text.front_hashing import PairTable
from zoo_text.front_packing import packed
from zoo_text.front_tables import Table
from zoo_text.front_words import WordLetters, ones
from zoo_text.tokenizers import UNKNOWN
from zoo_text.wordpiece import INSIDE, MOST_LETTERS, WordPieces

_NO_NODE, _ROOT = 0, 1


class WordPiecesFront(nn.Module):
    """The ids of the first ``length`` pieces of each text, as ``WordPieces.ids`` has them, and their mask."""

    def __init__(self, pieces: WordPieces, length: int) -> None:
        super().__init__()
        ids = {piece: token for token, piece in enumerate(pieces.pieces, start=WordPieces.first_word)}
        characters = characters_of({piece.removeprefix(INSIDE) for piece in ids})
        self.letters = WordLetters(characters, length)
        self.pieces = PiecesOfWords(ids, characters.letters, length, unknown=UNKNOWN)

    def forward(
        self, utf8: UInt8[Tensor, "batch byte"]
    ) -> tuple[Int[Tensor, "batch piece"], Bool[Tensor, "batch piece"]]:
        """Return ids and mask."""
        letters, word, offset, _ = self.letters(utf8.to(torch.int64))
        ids: Tensor = self.pieces(letters, word, offset)
        return ids, ids > 0


class PiecesOfWords(nn.Module):
    """Cuts words into pieces, each time after the longest known one.

    For every letter at once, a loop looks for the longest piece that begins there: each turn reads one more letter and
    goes down the tree of pieces, until no branch is left. A word then consists of the piece at its first letter, the
    piece at the end of that one, and so on. The first letter of a word has another number than the same letter inside a
    word, so no piece reaches from one word into the next.

    Source: Devlin et al. 2019, arXiv 1810.04805, and the code of that paper.
    """

    def __init__(
        self,
        ids: Mapping[str, int],
        letters: Mapping[str, int],
        length: int,
        *,
        unknown: int,
        inside: str = INSIDE,
        most_letters: int = MOST_LETTERS,
    ) -> None:
        """``ids`` are above zero; a word of more than ``most_letters`` is ``unknown``, as one that pieces cannot spell.

        Raises SpecError if there are too many pieces.
        """
        super().__init__()
        self.length, self.unknown, self.most_letters = length, unknown, most_letters
        self.first = len(letters) + 1  # added to the number of a letter that begins a word
        edges, ends = _tree(ids, letters, self.first, inside)
        self.branches = PairTable([*edges], [*edges.values()], below=(len(ends), 2 * self.first + 1))
        self.ids = Table(np.array(ends, dtype=np.int64))

    def forward(
        self,
        letters: Int[Tensor, "batch place"],
        word: Int[Tensor, "batch place"],
        offset: Int[Tensor, "batch place"],
    ) -> Int[Tensor, "batch piece"]:
        """Return the ids of the first ``length`` pieces of what ``WordLetters`` returns, zeros after them."""
        there = ones(letters > 0)
        none = torch.cat([letters, letters[..., :1]], dim=1) * 0
        end = letters.shape[1]
        place = torch.where(there > 0, there.cumsum(1) - 1, end)  # letters move together
        begins = none.scatter_add(1, place, ones(offset == 0) * there)
        too_far = none.scatter_add(1, place, ones(offset >= self.most_letters) * there)
        of_word = none.scatter_add(1, place, word * there)
        letters = none.scatter_add(1, place, letters) + self.first * begins
        piece, behind = self._longest(letters)
        met = self._met(begins, behind)
        fails = too_far + met * ones((piece == 0) & (letters > 0))
        failed = ones(none.scatter_add(1, of_word, fails).gather(1, of_word) > 0)
        return packed(met * piece * (1 - failed) + begins * failed * self.unknown, self.length)

    def _longest(self, letters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the id of the longest piece that begins at each letter, 0 if there is none, and the place after it."""
        none, place = letters * 0, torch.arange(letters.shape[1], device=letters.device)
        state: tuple[Tensor, ...] = (letters, ones(letters > 0) * _ROOT, none + place, none, none + place)
        if torch.compiler.is_exporting():
            loop: Any = while_loop
            state = loop(self._goes_on, self._step, state)
        else:
            while self._goes_on(*state):
                state = self._step(*state)
        return state[-2], state[-1]

    def _goes_on(self, letters: Tensor, node: Tensor, at: Tensor, piece: Tensor, behind: Tensor) -> Tensor:
        """Return whether any branch is left."""
        return (node > _NO_NODE).any()

    def _step(self, letters: Tensor, node: Tensor, at: Tensor, piece: Tensor, behind: Tensor) -> tuple[Tensor, ...]:
        """Go on by the letter at ``at``."""
        node = self.branches(node, letters.gather(1, at))
        at = (at + 1).clamp(max=letters.shape[1] - 1)
        found = self.ids(node)
        return letters + 0, node, at, torch.where(found > 0, found, piece), torch.where(found > 0, at, behind)

    def _met(
        self, begins: Int[Tensor, "batch place"], behind: Int[Tensor, "batch place"]
    ) -> Int[Tensor, "batch place"]:
        """Return 1 at the first letter of each piece: where a word begins, and behind each piece of it."""
        met = begins
        for _ in range((self.most_letters - 1).bit_length()):  # each time, chains that are twice as long
            met = (met + (met * 0).scatter_add(1, behind, met)).clamp(max=1)
            behind = behind.gather(1, behind)
        return met


def _tree(
    ids: Mapping[str, int], letters: Mapping[str, int], first: int, inside: str
) -> tuple[dict[tuple[int, int], int], list[int]]:
    """Return the children of nodes by node and letter, and the id of the piece that ends at each node or 0."""
    children: dict[tuple[int, int], int] = {}
    ends = [0, 0]
    for piece, token in ids.items():
        spelt = [letters[letter] for letter in piece.removeprefix(inside)]
        if not spelt:
            continue
        if not piece.startswith(inside):
            spelt[0] += first
        node = _ROOT
        for letter in spelt:
            if (node, letter) not in children:
                children[node, letter] = len(ends)
                ends.append(0)
            node = children[node, letter]
        ends[node] = token
    return children, ends
