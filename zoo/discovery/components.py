"""Makes components from the parts of a recipe: options are read off a component's signature and checked. No torch."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from zoo.discovery.plugins import Plugins
from zoo.errors import IntegrityError, PluginError, SpecError
from zoo.protocols import Dataset, Exporter, Layout, Modality
from zoo.recipes.spec import InputSpec, ModelSpec, Part
from zoo.recipes.tables import shown

if TYPE_CHECKING:
    from zoo.protocols import Array

MODALITY = "modality:"  # what the state of modalities begins with among the tensors of a file


def make_modality(part: Part, where: str, plugins: Plugins) -> Modality:
    """Return a modality with its options, not fitted yet; ``where`` is its place in the spec."""
    made: Modality = _made(plugins, "modality", part, where, Modality)
    return made


def make_modalities(spec: ModelSpec, plugins: Plugins) -> dict[str, Modality]:
    """Return the modality of each input with the spec's options, not fitted yet."""
    return {
        entry.name: make_modality(entry.modality, f"spec.inputs.{entry.name}.modality", plugins)
        for entry in spec.inputs
    }


def fitted_modalities(spec: ModelSpec, plugins: Plugins, saved: Mapping[str, Array], where: str) -> dict[str, Modality]:
    """Return the modality of each input with what it learnt, which is ``saved`` by ``state_key`` in the file ``where``.

    Raises IntegrityError where a modality cannot take what is saved for it.
    """
    return {entry.name: fitted_modality(entry, plugins, saved, where) for entry in spec.inputs}


def fitted_modality(entry: InputSpec, plugins: Plugins, saved: Mapping[str, Array], where: str) -> Modality:
    """Return the modality of one input as ``fitted_modalities`` does; the plugins of the others need not be there."""
    prefix = state_key(entry.name, "")
    state = {key.removeprefix(prefix): array for key, array in saved.items() if key.startswith(prefix)}
    modality = make_modality(entry.modality, f"spec.inputs.{entry.name}.modality", plugins)
    try:
        with plugins.blaming("modality", entry.modality.name):
            fitted = modality.with_state(state)
            _ = fitted.tensors
    except PluginError as error:
        raise IntegrityError(
            f"{where} does not hold what the modality of {entry.name!r} learnt ({error.__cause__!r:.200}); "
            "export or train the model again"
        ) from error
    return fitted


def state_key(name: str, key: str) -> str:
    """Return what an array of the state of an input's modality is called in a file."""
    return f"{MODALITY}{name}:{key}"


def make_dataset(part: Part, plugins: Plugins) -> Dataset:
    """Return the data set that a recipe names."""
    made: Dataset = _made(plugins, "dataset", part, "data", Dataset)
    return made


def make_exporter(name: str, plugins: Plugins) -> Exporter:
    """Return an exporter by its registered name."""
    made: Exporter = _made(plugins, "exporter", Part(name), "exporter", Exporter)
    return made


def make_layout(name: str, plugins: Plugins) -> Layout:
    """Return a layout by its registered name."""
    made: Layout = _made(plugins, "layout", Part(name), "layout", Layout)
    return made


def component_class(plugins: Plugins, kind: str, name: str, expected: type) -> Any:
    """Return the class of a registered component.

    Raises PluginError, naming the distribution, where it is no subclass of ``expected``.
    """
    component = plugins.load(kind, name)
    if not (isinstance(component, type) and issubclass(component, expected)):
        raise _not_what_it_claims(plugins, kind, name, component, f"a subclass of zoo.{expected.__name__}")
    return component


def options_of(component: type, *, given: tuple[str, ...]) -> dict[str, inspect.Parameter]:
    """Return the options of a component: the parameters of its constructor but those ``given`` by the zoo."""
    parameters = inspect.signature(component).parameters
    return {name: parameter for name, parameter in parameters.items() if name not in given and not name.startswith("_")}


def checked_options(
    component: type, options: Mapping[str, Any], where: str, *, given: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return ``options`` as the constructor takes them: lists as tuples, whole numbers as floats where it says so.

    Raises SpecError, saying which option is wrong and what the component takes.
    """
    known = options_of(component, given=given)
    annotated: Any = component
    kinds = typing.get_type_hints(component if _is_dataclass(component) else annotated.__init__)
    takes = ", ".join(_described(parameter, kinds.get(name)) for name, parameter in known.items()) or "no options"
    checked = {}
    for name, value in options.items():
        if name not in known:
            raise SpecError(f"{where}: unknown option {name!r}; it takes {takes}")
        fits, checked[name] = _converted(value, kinds.get(name, Any))
        if not fits:
            raise SpecError(
                f"{where}: the option {name!r} takes {_shown(kinds[name])}, got {shown(value)}; it takes {takes}"
            )
    for name, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and name not in options:
            raise SpecError(f"{where}: the option {name!r} must be given; it takes {takes}")
    return checked


def _made(plugins: Plugins, kind: str, part: Part, where: str, expected: type) -> Any:
    component = plugins.load(kind, part.name)
    if not isinstance(component, type):
        raise _not_what_it_claims(plugins, kind, part.name, component, "a class")
    options = checked_options(component, part.options, f"{where} {part.name!r}")
    with plugins.blaming(kind, part.name):
        made = component(**options)
    lacks = [member for member in _members(expected) if not _has(made, member)]
    if lacks:
        raise _not_what_it_claims(plugins, kind, part.name, made, f"a zoo.{expected.__name__} with {', '.join(lacks)}")
    return made


def _members(protocol: type) -> list[str]:
    return sorted(name for name in {*vars(protocol), *protocol.__annotations__} if not name.startswith("_"))


def _has(made: Any, member: str) -> bool:
    """Look a member up without computing it: what a modality has not learnt yet may raise."""
    try:
        inspect.getattr_static(made, member)
    except AttributeError:
        return False
    return True


def _not_what_it_claims(plugins: Plugins, kind: str, name: str, found: Any, expected: str) -> PluginError:
    distribution = plugins.find(kind, name).distribution
    return PluginError(
        f"the {kind} {name!r} of {distribution} is {found!r}, expected {expected}; upgrade or remove {distribution}"
    )


def _is_dataclass(component: type) -> bool:
    return hasattr(component, "__dataclass_fields__")


def _converted(value: Any, kind: Any) -> tuple[bool, Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return True, value
    if origin is Literal:
        return value in arguments, value
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            fits, converted = _converted(value, option)
            if fits:
                return True, converted
        return False, value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return False, value
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) != len(value):
            return False, value
        items = [_converted(item, inner) for item, inner in zip(value, kinds, strict=True)]
        return all(fits for fits, _ in items), tuple(item for _, item in items)
    if kind is float and type(value) is int:
        return True, float(value)
    if kind in (int, float, str, bool):
        return type(value) is kind, value
    return isinstance(value, kind), value


def _described(parameter: inspect.Parameter, kind: Any) -> str:
    default = "" if parameter.default is inspect.Parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {_shown(kind)}{default}"


def _shown(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")
