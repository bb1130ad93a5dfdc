"""The characters of a vocabulary as tables: what each code point is after NFKC and case folding, in small integers.

A character becomes *pieces*, one for each character that NFKC and case folding make of it. A piece is an integer:

    8 · letter + 4 · break + kind

``break`` says that no word goes on from before the piece. A piece of the kind ``NOTHING`` is punctuation, a space or
the like. Letters count from 1; all those in no word of the vocabulary are one letter, the last.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from zoo_text.tokenizers import CJK, MARKS

NOTHING, WORD, MARK, SINGLE = range(4)  # the kinds: a mark only goes on with a word, a single character is one
BREAK = 4
LETTER = 8
SPACE = LETTER + BREAK  # the one piece of NOTHING with a letter
# No word has a character from here on.
END = 0x40000
BLOCK = 64

_KINDS = re.compile(rf"(?P<single>[{CJK}]+)|(?P<word>(?:[^\W_{CJK}])+)|(?P<mark>[{MARKS}]+)|(?P<space>\s+)")
_SPACES = 4


@dataclass(frozen=True)
class Characters:
    """Tables from code points to pieces.

    The pieces of ``code`` are ``pieces[blocks[stage[code // BLOCK] * BLOCK + code % BLOCK]]``, a row that is filled up
    with zeros; ``END`` stands for all code points from there on. No character has more than ``a_byte`` pieces for each
    of its bytes in UTF-8.
    """

    letters: dict[str, int]
    stage: NDArray[np.int16]
    blocks: NDArray[np.int16]
    pieces: NDArray[np.int32]
    a_byte: int


def characters_of(words: Iterable[str]) -> Characters:
    """Return the tables of a vocabulary."""
    letters = {letter: place for place, letter in enumerate(sorted(set().union(*words)), start=1)}
    foreign = len(letters) + 1
    kinds, changed = _normalised()
    own = kinds.astype(np.int32) + LETTER * foreign
    own[kinds == NOTHING] = BREAK
    own[kinds == _SPACES] = SPACE
    for letter, place in letters.items():
        if ord(letter) < END and kinds[ord(letter)] not in (NOTHING, _SPACES):
            own[ord(letter)] += LETTER * (place - foreign)
    single, row_of = np.unique(own, return_inverse=True)
    rows = {(int(piece),): row for row, piece in enumerate(single)}
    row_of = row_of.astype(np.int16)
    for code, text in changed.items():
        if kinds[code] != _SPACES:
            row_of[code] = rows.setdefault(tuple(_pieces(text, letters, foreign)), len(rows))
    a_byte = max(-(-len(rows_of) // size) for size, rows_of in _sizes(rows, row_of, changed))
    pieces = np.zeros((len(rows), 4 * a_byte), dtype=np.int32)
    for row_pieces, row in rows.items():
        pieces[row, : len(row_pieces)] = row_pieces
    blocks, stage = np.unique(row_of.reshape(-1, BLOCK), axis=0, return_inverse=True)
    return Characters(letters, stage.reshape(-1).astype(np.int16), blocks.reshape(-1), pieces, a_byte)


@functools.cache
def _normalised() -> tuple[NDArray[np.uint8], dict[int, str]]:
    """Return the kind of each code point up to ``END``, and the text of those that NFKC or case folding changes."""
    every = "".join(map(chr, range(END + BLOCK)))
    kinds = np.zeros(len(every), dtype=np.uint8)
    named = {"word": WORD, "mark": MARK, "single": SINGLE, "space": _SPACES}
    for run in _KINDS.finditer(every[:END]):
        kinds[run.start() : run.end()] = named[run.lastgroup or ""]
    changed = {
        code: text
        for code, character in enumerate(every[:END])
        if (text := unicodedata.normalize("NFKC", character).casefold()) != character
    }
    return kinds, changed


def _pieces(text: str, letters: dict[str, int], foreign: int) -> Iterator[int]:
    """Yield the pieces of what one character is changed to; a word with a foreign letter is one foreign letter."""
    kinds, _ = _normalised()
    broken = 0
    for is_word, run in groupby(text, key=lambda character: kinds[ord(character)] in (WORD, MARK)):
        found = [(int(kinds[ord(character)]), letters.get(character, foreign)) for character in run]
        if is_word and found[0][0] == WORD and any(letter == foreign for _, letter in found):
            found = [(WORD, foreign)]
        for kind, letter in found:
            if kind in (WORD, MARK, SINGLE):
                yield LETTER * letter + broken + kind
                broken = 0
            else:
                broken = BREAK
    if broken:
        yield broken


def _sizes(
    rows: dict[tuple[int, ...], int], row_of: NDArray[np.int16], changed: dict[int, str]
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield how many bytes a character has, and its pieces, for all that may have more than one."""
    named = {row: pieces for pieces, row in rows.items()}
    yield 1, (BREAK,)
    for code in changed:
        yield len(chr(code).encode(errors="replace")), named[int(row_of[code])]
