"""Checks the arguments of a public function against its annotations before it runs, and says what each takes.

Numbers of NumPy become Python's, and a list may be any sequence. A class that an annotation names and that is only
imported for type checkers, such as one that needs torch, is recognised by its name.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import operator
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, get_args, get_origin

from zoo.errors import UsageError
from zoo.reading.lists import listed
from zoo.recipes.tables import shown

P = ParamSpec("P")
R = TypeVar("R")
_PATHS = (os.PathLike, Path)
_NOUNS: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    type(None): "None",
    **dict.fromkeys(_PATHS, "a path"),
    Mapping: "values by name",
    Callable: "a function",
}
_UNFIT = object()


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function with its arguments checked: each has the kind that its annotation names.

    A path is not empty and holds no NUL. The function raises UsageError, naming itself and the argument, what it takes
    and what came; TypeError, as Python words it, if an argument is missing, unknown or given twice.
    """

    @functools.wraps(function)
    def held(*arguments: P.args, **by_name: P.kwargs) -> R:
        kinds, signature = _declared(function)
        try:
            bound = signature.bind(*arguments, **by_name)
        except TypeError:
            return function(*arguments, **by_name)  # it says so itself, and names the function
        for name, value in bound.arguments.items():
            bound.arguments[name] = _taken(value, kinds.get(name, Any), f"zoo.{function.__qualname__}: `{name}`")
        return function(*bound.args, **bound.kwargs)

    return held


@functools.cache
def _declared(function: Callable[..., Any]) -> tuple[dict[str, Any], inspect.Signature]:
    return typing.get_type_hints(function, localns=_Names(function)), inspect.signature(function)


class _Names(dict[str, Any]):
    """The names that the annotations of a function use and its module lacks: a class of that name for each."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self._known = {*function.__globals__, *vars(builtins)}

    def __missing__(self, name: str) -> Any:
        if name in self._known:
            raise KeyError(name)
        return _OfName(name, (), {})


class _OfName(type):
    """A class that stands for every class of its name."""

    def __instancecheck__(cls, value: object) -> bool:
        return cls.__name__ in {kind.__name__ for kind in type(value).__mro__}


def _taken(value: Any, kind: Any, name: str) -> Any:
    """Return the value of an argument as the kind that it takes; raises UsageError if it is of another."""
    kinds = get_args(kind) if get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    if len(kinds) == 1 and _origin(kind) is Sequence:
        listed(value, name)
    made = next((found for one in kinds if (found := _made(value, one)) is not _UNFIT), _UNFIT)
    if made is _UNFIT:
        is_alone = isinstance(value, str) and any(_origin(one) is Sequence for one in kinds)
        advice = f"; give [{shown(value)}]" if is_alone else ""
        raise UsageError(f"{name} takes {_told(kinds)}, got {' '.join(shown(value).split())}{advice}")
    if isinstance(made, str | os.PathLike) and any(_origin(one) in _PATHS for one in kinds):
        path = os.fspath(made)
        if not path or "\0" in path:
            raise UsageError(f"{name} takes {_told(kinds)}, got {shown(value)}, which names no file and no folder")
    return made


def _made(value: Any, kind: Any) -> Any:
    """Return a value as ``kind``; ``_UNFIT`` if it is of another."""
    origin, inner = _origin(kind), get_args(kind)
    if origin in (int, float, bool):
        return _number(value, origin)
    if origin is Any or origin is object:
        fits = True
    elif origin is Literal:
        fits = any(type(value) is type(one) and value == one for one in inner)
    elif origin is Callable or getattr(origin, "_is_protocol", False):
        fits = callable(value)
    elif origin in _PATHS:
        fits = isinstance(value, os.PathLike) and isinstance(os.fspath(value), str)
    elif origin is Mapping:
        fits = isinstance(value, Mapping) and all(isinstance(key, inner[0]) for key in value)
    elif origin is Sequence:
        return _list(value, inner[0])
    else:
        fits = isinstance(value, origin)
    return value if fits else _UNFIT


def _list(values: Any, kind: Any) -> Any:
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
        return _UNFIT
    made = [_made(value, kind) for value in values]
    return _UNFIT if any(value is _UNFIT for value in made) else made


def _number(value: Any, kind: type) -> Any:
    """Return a number of Python, of NumPy or of torch as one of Python."""
    is_truth = isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")
    if isinstance(value, str | bytes) or is_truth != (kind is bool):
        return _UNFIT
    try:
        return operator.index(value) if kind is int else kind(value)
    except (TypeError, ValueError, OverflowError):
        return _UNFIT


def _origin(kind: Any) -> Any:
    return get_origin(kind) or kind


def _told(kinds: Sequence[Any]) -> str:
    """Describe some kinds, each once, in one phrase."""
    words = list(dict.fromkeys(word for kind in kinds for word in _words(kind)))
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _words(kind: Any) -> list[str]:
    origin, inner = _origin(kind), get_args(kind)
    if origin is Literal:
        return [repr(one) for one in inner]
    if origin is Sequence:
        return ["a list of texts" if inner[0] is str else "a list"]
    if getattr(origin, "_is_protocol", False) and origin not in _NOUNS:
        return ["a function"]
    return [_NOUNS.get(origin) or f"zoo.{origin.__name__}"]
