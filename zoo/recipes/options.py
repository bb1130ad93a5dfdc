"""Options of components and keys of tables: their types, ranges and defaults, checked and described."""

from __future__ import annotations

import functools
import inspect
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any

import annotated_types

from zoo.errors import SpecError
from zoo.recipes.bounds import check_bounds
from zoo.recipes.ranges import converted, schema, told, value_told
from zoo.recipes.tables import shown

_REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Option:
    """An option of a component, or a key of a table: its name, its annotation, its default if it has one."""

    name: str
    kind: Any
    default: Any = _REQUIRED

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is _REQUIRED

    @property
    def takes(self) -> str:
        """What it takes, in words: ``a number above 0``."""
        return told(self.kind)

    @property
    def default_told(self) -> str:
        """The default as it is written in a recipe; see ``value_told``."""
        return "must be given" if self.required else value_told(self.default)

    def __str__(self) -> str:
        """Describe the option in one phrase: ``width = 32 (a whole number from 1)``."""
        return f"{self.name} ({self.takes})" if self.required else f"{self.name} = {self.default_told} ({self.takes})"

    def checked(self, value: Any, key: str) -> Any:
        """Return ``value`` as a constructor takes it: lists become tuples, whole numbers floats where needed.

        Raises SpecError, naming ``key``, if the value has another type or is out of range.
        """
        fits, made = converted(value, self.kind)
        if not fits:
            raise SpecError(f"{key} takes {self.takes}, got {shown(value)}")
        return made

    def written(self) -> dict[str, Any]:
        """Return the option as values for JSON: ``schema`` is JSON Schema, with the default."""
        default = {} if self.required else {"default": json.loads(json.dumps(self.default, default=repr))}
        told = {"name": self.name, "required": self.required, "takes": self.takes}
        return {**told, "schema": {**schema(self.kind), **default}}


def parameters_of(component: type, *, known: Mapping[str, Any] | None = None) -> dict[str, Option]:
    """Return the parameters of a constructor by name; ``known`` holds further names that its annotations may use.

    Raises TypeError, naming the parameter, if one declares bounds without sense, such as ``Gt("a")``.
    """
    annotated: Any = component if is_dataclass(component) else component.__init__  # type: ignore[misc]
    kinds = typing.get_type_hints(annotated, localns=known, include_extras=True)
    for name, kind in kinds.items():
        try:
            check_bounds(kind)
        except TypeError as error:
            raise TypeError(f"the option {name!r} is declared with bounds without sense: {error}") from error
    made = {one.name: one.default_factory() for one in _fields(component) if one.default_factory is not MISSING}
    return {
        name: Option(name, kinds.get(name, Any), made.get(name, parameter.default))
        for name, parameter in inspect.signature(component).parameters.items()
    }


@functools.cache
def fields_of(table: type) -> Mapping[str, Option]:
    """Return, by name, the fields of a dataclass that is read from a table of a recipe.

    Its module need not import annotated-types, which takes time: the names of the ranges are resolved here.
    """
    return parameters_of(table, known={name: getattr(annotated_types, name) for name in annotated_types.__all__})


def _fields(component: type) -> Sequence[Field[Any]]:
    return fields(component) if is_dataclass(component) else ()
