"""Kinds of files that hold rows, recognised by their suffix and by their first line."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import UsageError
from zoo.reading.separated import SEPARATORS

KINDS = (
    "a folder of files, a text with a value per line (.txt), a table whose first line names the inputs (.csv, .tsv) or "
    "JSON lines (.jsonl, .ndjson)"
)
_OF_TEXT = (".txt", "")
_FIRST_BYTES = 4096


def check_is_text(path: Path, inputs: Sequence[str]) -> None:
    """Raise UsageError if a file is not a text with a value per line, judged by its name and its beginning.

    A first line that is a JSON object, or that names columns like ``inputs``, means another kind.
    """
    if path.suffix.lower() not in _OF_TEXT:
        raise UsageError(
            f"{path} is not a kind of file that holds rows; expected {KINDS}; give it such a name if it is one"
        )
    with path.open("rb") as stream:
        head = stream.read(_FIRST_BYTES)
    if b"\0" in head:
        raise UsageError(
            f"{path} is not text in UTF-8: it holds zero bytes, as UTF-16 and files of other kinds do. If it is text, "
            f"save it as UTF-8; expected {KINDS}"
        )
    first = head.decode("utf-8-sig", errors="replace").partition("\n")[0].strip()
    if kind := _other_kind(first, inputs):
        raise UsageError(f"{path} begins like {kind}; change its suffix to that, or delete the line")


def _other_kind(first: str, inputs: Sequence[str]) -> str:
    """Return the other kind that a first line belongs to, empty if it may be a value."""
    try:
        is_object = isinstance(json.loads(first), dict) and any(json.dumps(name) in first for name in inputs)
    except (ValueError, RecursionError):
        is_object = False
    if is_object:
        return "JSON lines (.jsonl)"
    for separator in SEPARATORS:
        cells = [cell.strip() for cell in next(csv.reader([first], delimiter=separator), [])]
        if len(cells) > 1 and set(cells) & set(inputs):
            return "a table (.csv)"
    return ""
