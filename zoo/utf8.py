"""Texts as the numbers that raw graphs take: their bytes in UTF-8, a row each, padded with zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.protocols import Array


def as_utf8(texts: Sequence[Any], most_bytes: int) -> Array:
    """Return the first ``most_bytes`` bytes of each text, as long as the longest and at least one.

    Half surrogates, which UTF-8 lacks, become question marks. Raises DataError where a value is no text.
    """
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(
                f"value {position} is {text!r:.80}, of type {type(text).__name__}; expected text (a str)"
                f"{'; decode it first, as by value.decode()' if isinstance(text, bytes | bytearray) else ''}"
            )
    rows = [text[:most_bytes].encode(errors="replace")[:most_bytes] for text in texts]
    length = max(map(len, rows), default=0) or 1
    padded = b"".join(row.ljust(length, b"\0") for row in rows)
    return np.frombuffer(padded, dtype=np.uint8).reshape(len(rows), length).copy()


def from_utf8(array: Array) -> list[str]:
    """Return the texts again, each without the zeros at its end; what is no UTF-8 becomes the replacement character."""
    return [bytes(row).rstrip(b"\0").decode(errors="replace") for row in array]
