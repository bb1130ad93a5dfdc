"""The values that an annotation takes: ``Annotated[float, Gt(0)]`` takes a number above 0. Checked and described.

The ranges are those of the package annotated-types, alone or grouped. Other metadata in ``Annotated`` are ignored.
NaN and infinity are outside of every range.
"""

from __future__ import annotations

import math
import operator
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import BaseMetadata, GroupedMetadata

# By name in annotated-types: whether a value is within such a bound, and the name of the bound in JSON Schema.
_WITHIN: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "multiple_of": lambda value, step: value % step == 0,
    "min_length": lambda value, fewest: len(value) >= fewest,
    "max_length": lambda value, most: len(value) <= most,
    "func": lambda value, holds: holds(value),
}
_IN_SCHEMA = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "multiple_of": "multipleOf",
    "min_length": "minItems",
    "max_length": "maxItems",
}
_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
_NOUNS = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts"),
    bool: ("true or false", "true or false"),
    type(None): ("none", "none"),
    Any: ("anything", "anything"),
}


def converted(value: Any, kind: Any) -> tuple[bool, Any]:
    """Return whether the annotation ``kind`` takes ``value``, and the value as a constructor takes it.

    Raises TypeError if no option can be declared so, as by ``list[int]``.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return True, value
    if origin is Annotated:
        fits, made = converted(value, arguments[0])
        return fits and (made is None or _within(made, arguments[1:])), made
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in arguments), value
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            fits, made = converted(value, option)
            if fits:
                return True, made
        return False, value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return False, value
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) != len(value):
            return False, value
        items = [converted(item, inner) for item, inner in zip(value, kinds, strict=True)]
        return all(fits for fits, _ in items), tuple(item for _, item in items)
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            return False, value
        entries = {name: converted(inner, arguments[1]) for name, inner in value.items()}
        fits = all(isinstance(name, arguments[0]) and fits for name, (fits, _) in entries.items())
        return fits, {name: inner for name, (_, inner) in entries.items()}
    if kind is float and type(value) is int:
        try:
            return True, float(value)
        except OverflowError:
            return False, value
    if kind in (int, float, str, bool):
        return type(value) is kind, value
    if origin is not None or not isinstance(kind, type):
        raise TypeError(f"an option is declared as {kind}; declare a list as tuple[…, ...], a table as dict[str, …]")
    return isinstance(value, kind), value


def told(kind: Any, *, many: bool = False) -> str:
    """Describe what an annotation takes, in the singular, or in the plural if ``many``."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _told_within(arguments[0], dict(bounds_in(arguments[1:])), many=many)
    if origin is Literal:
        return _listed([value_told(choice) for choice in arguments], "or")
    if origin in (typing.Union, types.UnionType):
        return _listed([told(option, many=many) for option in arguments], "or", comma=",")
    if origin is tuple:
        return _told_list(arguments, "", many=many)
    if origin in (dict, Mapping):
        return f"{'tables' if many else 'a table'} of {told(arguments[1], many=True)}"
    named = kind.__name__ if isinstance(kind, type) else str(kind)
    return _NOUNS.get(kind, (named, named))[many]


def schema(kind: Any) -> dict[str, Any]:
    """Return an annotation as JSON Schema, without what JSON Schema cannot express."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        found = schema(arguments[0])
        bounds = {_IN_SCHEMA[name]: bound for name, bound in bounds_in(arguments[1:]) if name in _IN_SCHEMA}
        if found.get("type") == "string":
            bounds = {name.replace("Items", "Length"): bound for name, bound in bounds.items()}
        return {**found, **bounds}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [schema(option) for option in arguments]}
    if origin is tuple and arguments[-1] is Ellipsis:
        return {"type": "array", "items": schema(arguments[0])}
    if origin is tuple:
        return {"type": "array", "prefixItems": [schema(inner) for inner in arguments], "items": False}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": schema(arguments[1])}
    return {"type": _TYPES[kind]} if kind in _TYPES else {}


def bounds_in(metadata: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the name and the value of each bound; other metadata are skipped."""
    for entry in metadata:
        if isinstance(entry, GroupedMetadata):
            yield from bounds_in(entry)
        elif isinstance(entry, BaseMetadata) and is_dataclass(entry):
            yield from ((known.name, getattr(entry, known.name)) for known in fields(entry) if known.name in _WITHIN)


def _within(value: Any, metadata: Iterable[Any]) -> bool:
    bounds = list(bounds_in(metadata))
    if bounds and isinstance(value, float) and not math.isfinite(value):
        return False
    return all(_WITHIN[name](value, bound) for name, bound in bounds)


def _told_within(kind: Any, bounds: Mapping[str, Any], *, many: bool) -> str:
    counted = _count(bounds.get("min_length"), bounds.get("max_length"))
    if get_origin(kind) is tuple:
        return _told_list(get_args(kind), counted, many=many)
    words = [told(kind, many=many), _span(bounds)]
    if counted:
        words.append(f"of {counted}characters")
    if "multiple_of" in bounds:
        words.append(f"that is a multiple of {_number(bounds['multiple_of'])}")
    holds = bounds.get("func")
    if holds is math.isfinite:
        words[0] = words[0].replace("number", "finite number")
    elif holds is not None:
        words.append(f"for which {getattr(holds, '__qualname__', holds)} holds")
    return " ".join(word for word in words if word)


def _span(bounds: Mapping[str, Any]) -> str:
    bound = {name: _number(value) for name, value in bounds.items() if name in ("gt", "ge", "lt", "le")}
    if bound.keys() == {"ge", "le"}:
        return f"from {bound['ge']} to {bound['le']}"
    words = {"gt": "above", "ge": "from", "lt": "below", "le": "at most"}
    said = " and ".join(f"{word} {bound[name]}" for name, word in words.items() if name in bound)
    return f"of {said}" if bound.keys() == {"le"} else said


def _told_list(kinds: tuple[Any, ...], counted: str, *, many: bool) -> str:
    noun = "lists of" if many else "a list of"
    if kinds[-1] is Ellipsis:
        return f"{noun} {counted}{told(kinds[0], many=True)}"
    return f"{noun} {_listed([told(kind) for kind in kinds], 'and')}"


def _count(fewest: int | None, most: int | None) -> str:
    if fewest is None:
        return "" if most is None else f"at most {most} "
    if most is None:
        return f"{fewest} or more "
    return f"{fewest} " if fewest == most else f"{fewest} to {most} "


def _listed(words: list[str], last: str, *, comma: str = "") -> str:
    *first, end = words
    return f"{', '.join(first)}{comma} {last} {end}" if first else end


def _number(value: Any) -> str:
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if float(short) == value else repr(value)


def value_told(value: Any) -> str:
    """Return a value as it is written in a recipe; ``none`` if a recipe cannot express it."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(value_told, value))}]"
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else repr(value)
