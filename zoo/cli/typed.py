"""Options as they are typed: messages name them as Python does, in backticks, and a command shows its own form.

A verb says ``choose another `out` `` or ``use `provider='cpu'` ``; a person at the shell reads ``choose another --out``
and ``use --provider cpu``. A parameter of a command has the name that the verb gives it.
"""

from __future__ import annotations

import re
from typing import Any

import click

_NAMED = re.compile(r"`([a-z]\w*)(?:=([^`]+))?`")
# The options of the running command, by the names of its parameters.
_options: dict[str, click.Option] = {}


def remember(command: click.Command | None) -> None:
    """Let ``as_typed`` use the options of this command."""
    _options.clear()
    if command is not None:
        _options.update({str(one.name): one for one in command.params if isinstance(one, click.Option)})


def as_typed(text: str) -> str:
    """Return a message with the options of the running command as they are typed; other names stay."""
    return _NAMED.sub(_typed, text) if _options and "`" in text else text


def _typed(found: re.Match[str]) -> str:
    name, value = found.groups()
    option = _options.get(name)
    if option is None:
        return found[0]
    flag = max(option.opts, key=len)
    if value is None:
        return flag
    given = _literal(value)
    if isinstance(given, list):
        return " ".join(f"{flag} {_quoted(one)}" for one in given)
    if given is True and isinstance(option.type, click.Choice):  # of what a bool stands for, the last is True
        given = option.type.choices[-1]
    return flag if given is True else f"{flag} {_quoted(given)}"


def _literal(value: str) -> Any:
    import ast

    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):  # such as an ellipsis, for a value of the reader's own
        return value


def _quoted(value: Any) -> str:
    import shlex

    text = str(value)
    return shlex.quote(text) if re.search(r"[\s'\"]", text) else text
