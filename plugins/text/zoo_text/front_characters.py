"""The characters of a vocabulary as tables of small integers: each character after NFKC and case folding.

NFKC and case folding turn a character into one or more others; each of these is a *piece*. A piece has a code and a
letter. The code is one of the kinds below, plus ``BREAK`` if no word continues from before the piece. Letters are
numbered from 1. All letters that occur in no word of the vocabulary share the last number. A word with such a letter is
unknown, whatever its other letters, so the part of it that comes from one character is a single piece.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from zoo_text.tokenizers import CJK, MARKS

NOTHING, WORD, MARK, SINGLE = range(4)  # a mark only continues a word, a single character is a word
BREAK = 4
SPACE = 8  # NOTHING, and what ends a stretch of text
# No word has a character from here on.
END = 0x40000
# Tags, as in the flags of regions, and selectors of variants; then the first character for private use.
TAGS = range(0xE0000, 0xE1000)
BEYOND = [*TAGS, 0xF0000]
BLOCK = 64  # code points that differ in the last byte alone

_KINDS = re.compile(rf"(?P<single>[{CJK}]+)|(?P<word>(?:[^\W_{CJK}])+)|(?P<mark>[{MARKS}]+)|(?P<space>\s+)")
_NAMED = {"word": WORD, "mark": MARK, "single": SINGLE, "space": SPACE}


@dataclass(frozen=True)
class Characters:
    """The pieces of each character, by code point.

    ``rows`` has a row number for each code point up to ``END``, which represents all code points from there on, or all
    but ``BEYOND``, whose row numbers follow. That row of ``codes`` and of ``letters_of`` holds the pieces, filled up
    with zeros. No character has more pieces than ``a_byte`` times its bytes in UTF-8. ``letters`` are the numbers of
    the vocabulary's letters.
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.uint8]
    letters_of: NDArray[np.int64]
    a_byte: int
    letters: Mapping[str, int]


Normalised = tuple[NDArray[np.uint8], Mapping[int, str]]


def characters_of(words: Iterable[str], normalised: Normalised | None = None) -> Characters:
    """Return the tables of a vocabulary.

    ``normalised`` has the kind of each code point in the order of ``rows``, and by the same number the texts that a
    normaliser makes of those that it changes. By default it is NFKC with case folding.
    """
    letters = {letter: place for place, letter in enumerate(sorted(set().union(*words)), start=1)}
    kinds, changed = normalised or _normalised()
    number = np.where((kinds > NOTHING) & (kinds < SPACE), len(letters) + 1, 0)
    for letter, place in letters.items():
        number[ord(letter)] = place
    codes = np.where((kinds == NOTHING) | (kinds == SINGLE), kinds + BREAK, kinds)
    # Both in one number: to find the unique rows of two columns takes much longer.
    pairs, rows = np.unique(number * 2 * SPACE + codes, return_inverse=True)
    row_of: dict[tuple[tuple[int, int], ...], int] = {
        ((int(pair % (2 * SPACE)), int(pair // (2 * SPACE))),): row for row, pair in enumerate(pairs)
    }
    a_byte = 1
    for point, text in changed.items():
        if kinds[point] != SPACE:
            pieces = tuple(_pieces(text, letters, kinds))
            rows[point] = row_of.setdefault(pieces, len(row_of))
            a_byte = max(a_byte, -(-len(pieces) // len(chr(point).encode())))
    table = np.zeros((len(row_of), 4 * a_byte, 2), dtype=np.int64)
    for pieces, row in row_of.items():
        table[row, : len(pieces)] = np.array(pieces).reshape(-1, 2)
    return Characters(rows, table[:, :, 0].astype(np.uint8), table[:, :, 1], a_byte, letters)


@functools.cache
def _normalised() -> Normalised:
    """Return the kind of each code point up to ``END``, and the text of those that NFKC or case folding changes."""
    every = "".join(map(chr, range(END)))
    kinds = np.zeros(END + 1, dtype=np.uint8)
    for run in _KINDS.finditer(every):
        kinds[run.start() : run.end()] = _NAMED[run.lastgroup or ""]
    changed = {
        point: text
        for point, character in enumerate(every)
        if (text := unicodedata.normalize("NFKC", character).casefold()) != character
    }
    return kinds, changed


def _pieces(text: str, letters: Mapping[str, int], kinds: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    """Yield the pieces, each a code and a letter, of the text that one character becomes."""
    foreign = len(letters) + 1
    broken = 0
    for in_word, run in groupby(text, key=lambda character: kinds[ord(character)] in (WORD, MARK)):
        found = [(int(kinds[ord(character)]), letters.get(character, foreign)) for character in run]
        if in_word and found[0][0] == WORD and any(letter == foreign for _, letter in found):
            found = [(WORD, foreign)]
        for kind, letter in found:
            if kind in (NOTHING, SPACE):
                broken = BREAK
            else:
                yield (kind + BREAK if kind == SINGLE else kind + broken), letter
                broken = 0
    if broken:
        yield BREAK, 0
