"""Builds components from the parts of a recipe. Options are read from a component's signature and checked. No torch.

Each option is checked only here, against the type and the range that its annotation declares.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.discovery.plugins import Plugins
from zoo.errors import IntegrityError, PluginError, SpecError
from zoo.protocols import Dataset, Exporter, Importer, Layout, Modality
from zoo.recipes.options import Option, parameters_of
from zoo.recipes.spec import InputSpec, ModelSpec, Part

if TYPE_CHECKING:
    from zoo.protocols import Array

M = TypeVar("M")

MODALITY = "modality:"  # the prefix of the state of modalities among the tensors of a file
# The kinds of components that a recipe names; it can set options of these.
IN_RECIPES = ("modality", "encoder", "decoder", "objective", "dataset")
# The constructor parameters that the zoo fills in itself; they are not options.
_GIVEN = {
    "encoder": ("modality",),
    "decoder": ("modality", "latent_dim"),
    "front": ("modality",),
    "objective": ("inputs", "latent_dim"),
}


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
    """Return the modality of each input with its learnt state, which the file ``where`` holds by ``state_key``.

    Raises IntegrityError if a modality does not accept its saved state.
    """
    return {entry.name: fitted_modality(entry, plugins, saved, where) for entry in spec.inputs}


def fitted_modality(entry: InputSpec, plugins: Plugins, saved: Mapping[str, Array], where: str) -> Modality:
    """Return the modality of one input as ``fitted_modalities`` does; the other inputs need no plugins."""
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


def modality_of(kind: type[M], name: str, modality: Modality, *, component: str) -> M:
    """Return ``modality`` as an instance of the class ``kind``, which is registered as ``name``.

    Raises SpecError, naming ``component``, which works only on this class, if it is of another class.
    """
    if not isinstance(modality, kind):
        raise SpecError(
            f"{component} works on the modality {name!r}, got {type(modality).__name__}; choose one for that modality"
        )
    return modality


def state_key(name: str, key: str) -> str:
    """Return the name in a file of an array of a modality's state."""
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


def make_importer(name: str, plugins: Plugins) -> Importer:
    """Return an importer by its registered name."""
    made: Importer = _made(plugins, "importer", Part(name), "importer", Importer)
    return made


def component_class(plugins: Plugins, kind: str, name: str, expected: type) -> Any:
    """Return the class of a registered component.

    Raises PluginError, naming the distribution, if it is not a subclass of ``expected``.
    """
    component = plugins.load(kind, name)
    if not (isinstance(component, type) and issubclass(component, expected)):
        raise _not_what_it_claims(plugins, kind, name, component, f"a subclass of zoo.{expected.__name__}")
    return component


def options_of(component: type, kind: str) -> dict[str, Option]:
    """Return the options of a component: the parameters of its constructor, without those that the zoo fills in."""
    given = _GIVEN.get(kind, ())
    found = parameters_of(component)
    return {name: option for name, option in found.items() if name not in given and not name.startswith("_")}


def settable_options(plugins: Plugins, kind: str, name: str) -> dict[str, Option]:
    """Return the options of a component that a recipe can set; empty for kinds that a recipe does not name."""
    if kind not in IN_RECIPES:
        return {}
    component = plugins.load(kind, name)
    with plugins.blaming(kind, name):
        return options_of(component, kind)


def checked_options(component: type, kind: str, part: Part, where: str) -> dict[str, Any]:
    """Return the options of ``part`` as the constructor takes them: lists as tuples, whole numbers as floats.

    ``where`` is the key of the recipe that names the part. Raises SpecError, with the key of the option and the
    expected value, if an option is unknown, is missing, or does not have the declared type and range.
    """
    known = options_of(component, kind)
    checked = {}
    for name, value in part.options.items():
        if name not in known:
            raise SpecError(f"{where}: {part.name!r} has no option {name!r}; {_taken(known)}")
        checked[name] = known[name].checked(value, f"{where}.{name}")
    for name, option in known.items():
        if option.required and name not in checked:
            raise SpecError(f"{where}.{name} must be given; {part.name!r} takes {option.takes}")
    return checked


@contextmanager
def building(plugins: Plugins, kind: str, name: str, where: str) -> Iterator[None]:
    """Blame a component for unexpected errors inside it; errors that it raises on purpose get ``where`` in front."""
    with plugins.blaming(kind, name):
        try:
            yield
        except SpecError as error:
            raise SpecError(f"{where}: {error}") from error


def _made(plugins: Plugins, kind: str, part: Part, where: str, expected: type) -> Any:
    component = plugins.load(kind, part.name)
    if not isinstance(component, type):
        raise _not_what_it_claims(plugins, kind, part.name, component, "a class")
    with plugins.blaming(kind, part.name):
        options = checked_options(component, kind, part, where)
    with building(plugins, kind, part.name, where):
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


def _taken(options: Mapping[str, Option]) -> str:
    return f"it takes {', '.join(map(str, options.values())) or 'none'}"
