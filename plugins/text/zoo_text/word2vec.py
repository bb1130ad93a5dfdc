"""Word vectors in the two formats of the word2vec tool: C binary and text.

Both begin with a line of two whole numbers, how many words follow and the size of a vector. In the binary format a word
ends at a space and its vector is little-endian float32, with a newline after it (as Google's tool writes it) or without
(as gensim does). In the text format each line is a word and its numbers.

Source: https://code.google.com/archive/p/word2vec, ``word2vec.c`` and ``distance.c``.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator, Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import DataError

LONGEST_WORD_BYTES = 1000
_HEADER = re.compile(rb"[ \t]*(\d{1,18})[ \t]+(\d{1,18})[ \t]*\r?\n")
_LONGEST_HEADER = 80
_GZIP = b"\x1f\x8b"
_SAMPLE_BYTES = 4096
_CONTROL = bytes([*range(0x20), 0x7F]).translate(None, b"\t\n\r")
_IN_NUMBERS = b"0123456789+-.eEnaifNAIF \t\r"  # nan and inf too: they are refused where their line is known
_NO_WORD = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True)
class WordVectors:
    """Different words and their vectors, one row per word, of finite float32.

    Raises DataError, naming the word, if the two do not fit together or no file of either format could hold them.
    """

    words: tuple[str, ...]
    vectors: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Check what every file promises."""
        shape = self.vectors.shape
        if self.vectors.dtype != np.float32 or len(shape) != 2 or shape[0] != len(self.words) or 0 in shape:
            raise DataError(
                f"expected a row of float32 for each of {len(self.words)} words, at least one of each, got "
                f"{self.vectors.dtype} of the shape {shape}"
            )
        if not np.isfinite(self.vectors).all():
            row = int(np.argmin(np.isfinite(self.vectors).all(axis=1)))
            raise DataError(f"the vector of {self.words[row]!r} is not finite; leave the word out")
        seen: set[str] = set()
        for row, word in enumerate(self.words):
            if word in seen:
                raise DataError(f"the word {word!r} is there twice; keep one of them")
            _require_word(word, f"row {row}")
            seen.add(word)

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        return int(self.vectors.shape[1])


def read_word2vec(path: Path | str, *, words: AbstractSet[str] | None = None) -> WordVectors:
    """Read a file of either format; the first lines show which it is.

    Only ``words`` are kept; the numbers of other words are skipped. Memory is bounded by the file's size,
    whatever its header says.

    Raises DataError, naming the file and the byte or line, if its content does not match its header, if it holds a
    number that is not finite, a word twice or a word that is not UTF-8, or if it has no word of ``words``.
    """
    path = Path(path)
    with _opened(path) as content:
        header = _header(path, content)
        rows, numbers = (_text_rows, _text_numbers) if _is_text(content, header) else (_binary_rows, _binary_numbers)
        kept = header.count if words is None else min(header.count, len(words))
        table = np.empty((kept, header.size), dtype=np.float32)
        found: dict[str, None] = {}
        for place, spelling, raw in rows(path, content, header):
            word = _decoded(spelling, place)
            if words is not None and word not in words:
                continue
            if word in found:
                raise DataError(f"{place}: the word {word!r} is there for the second time; keep one of them")
            table[len(found)] = _finite(numbers(raw, place), word, place)
            found[word] = None
    if not found:
        raise DataError(
            f"{path}: expected some of the words that were asked for, spelt alike, but none is among its "
            f"{header.count}; choose vectors of the same language"
        )
    return WordVectors(tuple(found), table[: len(found)])


def write_word2vec(vectors: WordVectors, path: Path | str, *, binary: bool = True) -> None:
    """Write the format of Google's tool, C binary or text; either way every number comes back as it was."""
    with Path(path).open("wb") as file:
        file.write(f"{len(vectors.words)} {vectors.size}\n".encode())
        for word, row in zip(vectors.words, vectors.vectors, strict=True):
            numbers = row.astype("<f4").tobytes() if binary else " ".join(map(str, row)).encode()
            file.write(word.encode() + b" " + numbers + b"\n")


@dataclass(frozen=True)
class _Header:
    count: int
    size: int
    end: int


_Row = tuple[str, bytes, Any]
_Rows = Callable[[Path, mmap.mmap, _Header], Iterator[_Row]]


@contextmanager
def _opened(path: Path) -> Iterator[mmap.mmap]:
    try:
        if not path.is_file():
            came = "a folder" if path.is_dir() else "nothing"
            raise DataError(f"{path}: expected a file of word vectors, found {came}; give the path of one")
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise DataError(f"{path}, byte 0: the file is empty; expected word vectors; fetch or write it again")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                yield content
    except OSError as error:
        raise DataError(f"{path}: expected a readable file of word vectors, but {error.strerror}") from error


def _header(path: Path, content: mmap.mmap) -> _Header:
    start = content[:_LONGEST_HEADER]
    if start.startswith(_GZIP):
        raise DataError(f"{path}, byte 0: the file is compressed by gzip; expand it first, as by `gunzip`")
    read = _HEADER.match(start)
    if read is None:
        line = start.splitlines()[0][:40]
        raise DataError(
            f"{path}, line 1: expected two whole numbers, how many words follow and the size of a vector, got {line!r}"
            "; give a word2vec file, a text one in UTF-8 without byte-order mark"
        )
    header = _Header(int(read[1]), int(read[2]), read.end())
    if header.count == 0 or header.size == 0:
        raise DataError(
            f"{path}, line 1: the header promises {header.count} words of {header.size} numbers; expected at least one "
            "of each; write the file again"
        )
    # A word, what parts it from its numbers, and what ends it; a number takes two bytes of text or four of binary.
    least = header.count * (2 * header.size + 2)
    if least > len(content):
        raise DataError(
            f"{path}, line 1: the header promises {header.count} words of {header.size} numbers, which take at least "
            f"{least} bytes; the file has {len(content)}; fetch or write it again"
        )
    return header


def _is_text(content: mmap.mmap, header: _Header) -> bool:
    """Return whether only numbers follow the first word, without a control character soon after."""
    sample = content[header.end : header.end + max(_SAMPLE_BYTES, LONGEST_WORD_BYTES + 4 * header.size)]
    words = sample.split(b"\n", 1)[0].split(None, 1)
    numbers = words[1][: 4 * header.size] if len(words) == 2 else b"?"
    return not numbers.translate(None, _IN_NUMBERS) and not set(sample[:_SAMPLE_BYTES]) & set(_CONTROL)


def _binary_rows(path: Path, content: mmap.mmap, header: _Header) -> Iterator[_Row]:
    at = header.end
    for number in range(1, header.count + 1):
        at += content[at : at + 1] == b"\n"  # the end of the vector before, as Google's tool writes it
        place = f"{path}, byte {at}"
        space = content.find(b" ", at, at + LONGEST_WORD_BYTES + 1)
        if space < 0:
            raise DataError(
                f"{place}: expected word {number} of {header.count}, ended by a space within {LONGEST_WORD_BYTES} "
                f"bytes, got {content[at : at + 20]!r}; the file was cut, or its header is wrong: fetch it again"
            )
        vector = content[space + 1 : space + 1 + 4 * header.size]
        if len(vector) < 4 * header.size:
            raise DataError(
                f"{place}: the file ends in the vector of {content[at:space]!r}, word {number} of {header.count}: "
                f"expected {4 * header.size} bytes, got {len(vector)}; fetch or write it again"
            )
        yield place, content[at:space], vector
        at = space + 1 + len(vector)
    at += content[at : at + 1] == b"\n"
    _require_end(f"{path}, byte {at}", len(content) - at, header)


def _text_rows(path: Path, content: mmap.mmap, header: _Header) -> Iterator[_Row]:
    content.seek(header.end)
    for number in range(2, header.count + 2):
        place = f"{path}, line {number}"
        line = content.readline()
        if not line.endswith(b"\n"):
            raise DataError(
                f"{place}: the file ends before the end of word {number - 1} of {header.count}; expected a line "
                f"of a word and {header.size} numbers, got {line[:40]!r}; fetch or write it again"
            )
        word, *numbers = line.split(None, header.size + 1) or [b""]
        if len(numbers) != header.size:
            came = "more" if len(numbers) > header.size else str(len(numbers))
            raise DataError(
                f"{place}: expected a word and {header.size} numbers, as line 1 says, got {came} after "
                f"{word[:40]!r}; correct the line or the header"
            )
        yield place, word, numbers
    _require_end(f"{path}, line {header.count + 2}", len(content) - content.tell(), header)


def _require_end(place: str, left: int, header: _Header) -> None:
    if left:
        raise DataError(
            f"{place}: expected the end of the file after the {header.count} words that line 1 promises, "
            f"got {left} more bytes; correct the header, or fetch the file again"
        )


def _binary_numbers(raw: bytes, place: str) -> NDArray[np.float32]:
    return np.frombuffer(raw, dtype="<f4")


def _text_numbers(raw: list[bytes], place: str) -> NDArray[np.float32]:
    try:
        numbers = [float(item) for item in raw]
    except ValueError as error:
        raise DataError(f"{place}: expected {len(raw)} numbers, but {error}; correct the line") from error
    with np.errstate(over="ignore"):  # reported as not finite
        return np.array(numbers, dtype=np.float32)


def _finite(numbers: NDArray[np.float32], word: str, place: str) -> NDArray[np.float32]:
    wrong = numbers[~np.isfinite(numbers)]
    if wrong.size:
        raise DataError(f"{place}: the vector of {word!r} holds {wrong[0]}; expected finite float32; leave it out")
    return numbers


def _decoded(spelling: bytes, place: str) -> str:
    try:
        word = spelling.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{place}: expected a word in UTF-8, got {spelling[:40]!r}; write the file again in UTF-8"
        ) from error
    _require_word(word, place)
    return word


def _require_word(word: str, place: str) -> None:
    if not word or _NO_WORD.search(word):
        raise DataError(
            f"{place}: expected a word without spaces and control characters, got {word[:40]!r}; "
            "leave it out, or correct the header if it states a wrong size"
        )
    try:
        size = len(word.encode())
    except UnicodeEncodeError as error:
        raise DataError(f"{place}: expected a word that UTF-8 can hold, got {word[:40]!r}; leave it out") from error
    if size > LONGEST_WORD_BYTES:
        raise DataError(f"{place}: expected a word of at most {LONGEST_WORD_BYTES} bytes, got {size}; leave it out")
