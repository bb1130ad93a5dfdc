"""Refuses a single value where a list is expected: a text would otherwise be taken apart into its letters."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from typing import Any

from zoo.errors import UsageError

_LONE = (str, bytes, bytearray, memoryview, os.PathLike, Mapping)


def listed(values: Any, what: str, *, once: bool = False) -> Any:
    """Return ``values`` unchanged: a list, a tuple, an array, or another sequence with one value per row.

    ``what`` names them in the message. With ``once`` an iterator is accepted, too.

    Raises UsageError if ``values`` is a single text, path, bytes, mapping, picture or number, a set, which has no
    order, or an iterator.
    """
    if isinstance(values, Iterator):
        if once:
            return values
        raise UsageError(f"{what}: expected a list of values, got a {type(values).__name__}; give list(values)")
    if isinstance(values, Set):
        raise UsageError(f"{what}: expected a list of values, got a {type(values).__name__}, which has no order")
    if isinstance(values, _LONE) or not _has_length(values):
        shown = f"[{values!r}]" if isinstance(values, str) and len(values) <= 40 else "[value]"
        raise UsageError(f"{what}: expected a list of values, got one {type(values).__name__}; give {shown}")
    return values


def _has_length(values: Any) -> bool:
    try:
        len(values)
    except TypeError:  # no length, or an array without axes
        return False
    return True
