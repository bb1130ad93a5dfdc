"""Texts as the numbers that raw graphs take: their UTF-8 bytes, one row per text, padded with zeros.

Unicode can write the same text in several ways: an accent within its letter or after it, a Hangul syllable as a whole
or letter by letter. So each text is first converted to one normal form, which ``TensorSpec.normal_form`` names.

Source: Unicode Standard Annex 15.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import DataError
from zoo.reading.lists import listed

if TYPE_CHECKING:
    from zoo.protocols import Array, NormalForm

# A normal form of a text has at least one byte for this many characters.
_MOST_JOINED = 8
# Normalising a run of accents takes quadratic time, so longer runs are split.
_LONGEST_RUN = 256
_ACCENTS_END = 0x1F000  # no character from here on is an accent
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_LONE = re.compile("[\ud800-\udfff]")


def as_utf8(texts: Sequence[Any], most_bytes: int, normal_form: NormalForm = "NFC") -> Array:
    """Return the first ``most_bytes`` bytes of each text in a normal form, as long as the longest and at least one.

    A lone surrogate, which UTF-8 cannot express, becomes U+FFFD, the replacement character, as in browsers.

    Raises UsageError if ``texts`` is not a list of values, DataError if a value is not text.
    """
    for position, text in enumerate(listed(texts, "texts")):
        if not isinstance(text, str):
            raise DataError(
                f"value {position} is {text!r:.80}, of type {type(text).__name__}; expected text (a str)"
                f"{'; decode it first, as by value.decode()' if isinstance(text, bytes | bytearray) else ''}"
            )
    rows = [utf8_bytes(text, most_bytes, normal_form) for text in texts]
    length = max(map(len, rows), default=0) or 1
    padded = b"".join(row.ljust(length, b"\0") for row in rows)
    return np.frombuffer(padded, dtype=np.uint8).reshape(len(rows), length).copy()


def from_utf8(array: Array) -> list[str]:
    """Return the texts again, each without the zeros at its end; invalid UTF-8 becomes U+FFFD."""
    return [bytes(row).rstrip(b"\0").decode(errors="replace") for row in array]


def utf8_bytes(text: str, most_bytes: int, normal_form: NormalForm = "NFC") -> bytes:
    """Return the first ``most_bytes`` bytes of a text in a normal form, possibly ending within a character."""
    return normalised(text, normal_form, most=most_bytes).encode()[:most_bytes]


def longer(texts: Sequence[str], most_bytes: int, normal_form: NormalForm = "NFC") -> list[int]:
    """Return the positions of the texts that have more than ``most_bytes`` bytes in a normal form."""
    return [
        place
        for place, text in enumerate(texts)
        if 3 * len(text) > most_bytes and len(utf8_bytes(text, most_bytes + 1, normal_form)) > most_bytes
    ]


def normalised(text: str, normal_form: NormalForm = "NFC", *, most: int | None = None) -> str:
    """Return the first ``most`` characters of a text in a normal form, or all if there is no such limit.

    Lone surrogates become U+FFFD, and a pair of surrogates becomes its character. In a run of more than 256 accents,
    only so many are sorted at once.
    """
    if most is not None:
        text = text[: most * _MOST_JOINED]
    if not text.isascii():
        text = _whole(text)
        if len(text) > _LONGEST_RUN and _long_run().search(text):
            text = "".join(unicodedata.normalize(normal_form, part) for part in _parts().findall(text))
        else:
            text = unicodedata.normalize(normal_form, text)
    return text[:most]


def _whole(text: str) -> str:
    """Return a text without surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        joined = _PAIR.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)
        return _LONE.sub("\N{REPLACEMENT CHARACTER}", joined)
    return text


@cache
def _accents() -> str:
    """Return, as part of a regular expression, the characters that normalising may reorder."""
    return "".join(map(chr, filter(lambda code: unicodedata.combining(chr(code)), range(_ACCENTS_END))))


@cache
def _long_run() -> re.Pattern[str]:
    return re.compile(f"[{_accents()}]{{{_LONGEST_RUN + 1}}}")


@cache
def _parts() -> re.Pattern[str]:
    return re.compile(f"[^{_accents()}]*[{_accents()}]{{0,{_LONGEST_RUN}}}")
