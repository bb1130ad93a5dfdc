"""Options that are set in a recipe: texts such as ``training.steps=100``, or values of Python by key."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zoo.errors import SpecError
from zoo.recipes.tables import check_values, parse_toml


def assigned(options: Mapping[str, Any] | Sequence[str]) -> Iterator[tuple[str, str, Any]]:
    """Yield, for each option, the option as it was given, its key and its value.

    Raises SpecError if an option does not have the form ``key=value``, or if a recipe cannot hold its value.
    """
    if not isinstance(options, Mapping):
        yield from ((given, *read_assignment(given)) for given in options)
        return
    for key, value in options.items():
        table_value = _as_read(value)
        check_values(table_value, f"`options` {key}")
        yield key, key, table_value


def _as_read(value: Any) -> Any:
    """Convert a Python value into what reading a table gives: a path becomes a text, a tuple or an array a list."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _as_read(inner) for key, inner in value.items()}
    return [_as_read(inner) for inner in value] if isinstance(value, list | tuple) else value


def read_assignment(assignment: str) -> tuple[str, Any]:
    """Return the key and the value of ``key=value``; the value is read as TOML, or as a bare text if it is not TOML."""
    key, equals, text = assignment.partition("=")
    if not equals:
        raise SpecError(f"`options` {assignment}: expected key=value, as in training.steps=100")
    try:
        value = parse_toml(f"value = {text}", "`options`")["value"]
    except SpecError:
        return key.strip(), text
    check_values(value, f"`options` {key}")
    return key.strip(), value
