"""The bounds that an option may declare: those that its values can be compared with, and that let some value pass."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Predicate

from zoo.recipes.ranges import bounds_in, converted, told

_LENGTHS = ("min_length", "max_length")
# By the name of a bound in annotated-types: what it is compared with.
_TAKES: Mapping[str, Any] = {
    **dict.fromkeys(("gt", "ge", "lt", "le"), Annotated[float, Predicate(math.isfinite)]),
    "multiple_of": Annotated[float, Gt(0)],
    **dict.fromkeys(_LENGTHS, Annotated[int, Ge(0)]),
}
_PAIRS = (("gt", "lt"), ("gt", "le"), ("ge", "lt"), ("ge", "le"), _LENGTHS)


def check_bounds(kind: Any) -> None:
    """Raise TypeError for a bound in an annotation that its values cannot be compared with, or that none passes."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return
    for inner in arguments[:1] if origin is Annotated else arguments:
        check_bounds(inner)
    if origin is Annotated:
        _check(arguments[0], dict(bounds_in(arguments[1:])))


def _check(kind: Any, bounds: Mapping[str, Any]) -> None:
    for name, bound in bounds.items():
        if name not in _TAKES:
            if not callable(bound):
                raise TypeError(f"the bound {name} = {bound!r} takes a function")
            continue
        if not converted(bound, _TAKES[name])[0]:
            raise TypeError(f"the bound {name} = {bound!r} takes {told(_TAKES[name])}")
        if not _has_size(kind, name):
            raise TypeError(f"the bound {name} = {bound!r} is not one of {told(kind, many=True)}")
    for low, high in _PAIRS:
        lowest, highest = bounds.get(low), bounds.get(high)
        if lowest is None or highest is None:
            continue
        if lowest > highest or (lowest == highest and (low == "gt" or high == "lt")):
            raise TypeError(f"no value is within the bounds {low} = {lowest!r} and {high} = {highest!r}")


def _has_size(kind: Any, bound: str) -> bool:
    """Return whether values of a kind have what a bound is compared with: a length, or a size as a number."""
    origin = get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_has_size(option, bound) for option in get_args(kind))
    if origin is Annotated:
        return _has_size(get_args(kind)[0], bound)
    if bound in _LENGTHS:
        return kind in (str, Any) or origin in (tuple, dict, Mapping)
    return kind in (int, float, Any)
