"""Tokenizers: text to token ids and back. Id 0 is padding everywhere."""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from zoo import DataError, UsageError, normalised, utf8_bytes

PADDING = 0
UNKNOWN = 1
UNREADABLE = "\N{REPLACEMENT CHARACTER}"

# Han, kana, bopomofo and Hangul syllables, without the punctuation between them.
CJK = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
# Vowel signs and accents that Python's \w leaves out.
MARKS = "".join(chr(code) for code in range(0x300, 0x1E00) if unicodedata.category(chr(code)).startswith("M"))
_TOKEN = re.compile(rf"[{CJK}]|[^\W_{CJK}](?:[^\W_{CJK}]|[{MARKS}])*")
SPACE_IN_CJK = re.compile(rf"(?<=[{CJK}]) (?=[{CJK}])")
# A word is no longer than this.
STRETCH = 256
_STRETCH = re.compile(rf"\S{{1,{STRETCH}}}")
# In this normal form, a word is the same however its letters are composed, and however wide they are.
NORMAL_FORM: Literal["NFKC"] = "NFKC"
# A longer stretch without a word ends the reading of a text, which bounds the time per text.
CHARACTERS_A_WORD = 1024


class Tokenizer(ABC):
    """Turns text into ids from 1 to ``token_count - 1``; ids below ``first_word`` have no text.

    ``fewest_tokens`` is the smallest ``token_count`` that ``fit`` takes.
    """

    first_word: ClassVar[int]
    fewest_tokens: ClassVar[int]

    @property
    @abstractmethod
    def token_count(self) -> int:
        """The number of ids, padding included."""

    @property
    @abstractmethod
    def words(self) -> Sequence[str]:
        """The word or piece of each id from ``first_word`` on."""

    @abstractmethod
    def fit(self, texts: Iterable[str], *, length: int, token_count: int) -> Tokenizer:
        """Return a tokenizer of at most ``token_count`` ids for the first ``length`` tokens of each text."""

    @abstractmethod
    def ids(self, text: str, *, length: int) -> list[int]:
        """Return the ids of the first ``length`` tokens."""

    def reads_all(self, text: str, *, length: int) -> bool:
        """Return whether the first ``length`` tokens are all that the text has."""
        return len(self.ids(text, length=length + 1)) <= length and is_read_to_its_end(text, length)

    @abstractmethod
    def text(self, ids: Iterable[int]) -> str:
        """Return the text of the ids; padding is ignored."""

    def unknown(self, ids: NDArray[Any]) -> int:
        """Return how many of the ids stand for an unknown word."""
        return int((ids < self.first_word).sum())

    @abstractmethod
    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what ``fit`` learnt."""

    @abstractmethod
    def with_state(self, state: Mapping[str, NDArray[Any]]) -> Tokenizer:
        """Return a tokenizer with what an earlier ``fit`` learnt."""


def words_in(text: str) -> Iterator[str]:
    """Return the words of a text after NFKC and case folding; a CJK character is a word, punctuation is dropped.

    >>> list(words_in("Señor's CAFÉ, 消防车 x²"))
    ['señor', 's', 'café', '消', '防', '车', 'x2']
    """
    return _words(normalised(text, NORMAL_FORM))


def _words(text: str) -> Iterator[str]:
    for stretch in _STRETCH.finditer(text):
        yield from _TOKEN.findall(stretch.group().casefold())


@dataclass(frozen=True)
class Words(Tokenizer):
    """Whole words: 0 is padding, 1 any word that ``fit`` did not learn, the learnt ones follow."""

    first_word: ClassVar[int] = 2
    fewest_tokens: ClassVar[int] = 3
    learnt: tuple[str, ...] | None = None

    @property
    def token_count(self) -> int:
        """The number of ids, padding and the unknown word included."""
        return self.first_word + len(self._words)

    @property
    def words(self) -> Sequence[str]:
        """The learnt words."""
        return self._words

    def fit(self, texts: Iterable[str], *, length: int, token_count: int) -> Words:
        """Learn the most frequent words; of equally frequent ones those first in the alphabet."""
        counts = Counter(word for text in texts for word in first_words(text, length))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return Words(tuple(ranked[: token_count - self.first_word]))

    def ids(self, text: str, *, length: int) -> list[int]:
        """Return the ids of the first ``length`` words."""
        return [self.index.get(word, UNKNOWN) for word in first_words(text, length)]

    def text(self, ids: Iterable[int]) -> str:
        """Return the words with spaces between them, except between CJK characters."""
        words = [UNREADABLE if token == UNKNOWN else self._words[token - self.first_word] for token in ids if token]
        return SPACE_IN_CJK.sub("", " ".join(words))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the words as UTF-8 bytes, one per line."""
        return {"vocabulary": np.frombuffer("\n".join(self._words).encode(), dtype=np.uint8).copy()}

    def with_state(self, state: Mapping[str, NDArray[Any]]) -> Words:
        """Return a tokenizer of the words that ``state`` holds."""
        joined = text_of_state(state, "vocabulary", tokenizer="words")
        return Words(tuple(joined.split("\n")) if joined else ())

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The id of each learnt word."""
        return {word: token for token, word in enumerate(self._words, start=self.first_word)}

    @property
    def _words(self) -> tuple[str, ...]:
        if self.learnt is None:
            raise UsageError(
                "this text modality has not learnt its words yet; use what fit(values) or with_state(state) returns, "
                "or the tokenizer 'bytes', which learns nothing"
            )
        return self.learnt


def first_words(text: str, length: int) -> Iterator[str]:
    """Yield the first ``length`` words of a text; only as much of it is read as they usually take."""
    return islice(_words(normalised(text, NORMAL_FORM, most=length * CHARACTERS_A_WORD)), length)


def is_read_to_its_end(text: str, length: int) -> bool:
    """Return whether only spaces follow the part of a text that is read for ``length`` words."""
    most = length * CHARACTERS_A_WORD
    return len(text) <= most or not normalised(text, NORMAL_FORM)[most:].strip()


@dataclass(frozen=True)
class Bytes(Tokenizer):
    """UTF-8 of the normal form NFC: 0 is padding, a byte is its value plus one. Nothing is learnt or unknown."""

    first_word: ClassVar[int] = 1
    fewest_tokens: ClassVar[int] = 3

    @property
    def token_count(self) -> int:
        """One id per byte, and padding."""
        return 257

    @property
    def words(self) -> Sequence[str]:
        """The bytes, as hexadecimal numbers."""
        return [f"{byte:#04x}" for byte in range(256)]

    def fit(self, texts: Iterable[str], *, length: int, token_count: int) -> Bytes:
        """Return itself."""
        return self

    def ids(self, text: str, *, length: int) -> list[int]:
        """Return the ids of the first ``length`` bytes."""
        return [byte + 1 for byte in utf8_bytes(text, length)]

    def text(self, ids: Iterable[int]) -> str:
        """Return the text; a character that is cut in two becomes the replacement character."""
        return bytes(token - 1 for token in ids if token).decode(errors="replace")

    def state(self) -> dict[str, NDArray[Any]]:
        """Return nothing, as nothing is learnt."""
        return {}

    def with_state(self, state: Mapping[str, NDArray[Any]]) -> Bytes:
        """Return itself."""
        return self


def text_of_state(state: Mapping[str, NDArray[Any]], key: str, *, tokenizer: str) -> str:
    """Return what ``state`` holds as UTF-8 bytes under ``key``.

    Raises DataError if it is the state of another tokenizer, or not UTF-8.
    """
    if key not in state or state[key].dtype != np.uint8 or state[key].ndim != 1:
        raise DataError(
            f"the state of a text modality with the tokenizer {tokenizer!r} holds {key!r} as bytes; this one holds "
            f"{', '.join(sorted(state)) or 'nothing'}; take the state of a modality with the same tokenizer"
        )
    try:
        return bytes(state[key]).decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"the state {key!r} of a text modality is not UTF-8 from byte {error.start} on; fetch or train the model "
            "again"
        ) from error
