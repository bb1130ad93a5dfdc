"""From a spec to a model: looks up registered parts, checks them and joins them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from zoo.discovery.components import building, checked_options, component_class
from zoo.discovery.plugins import Plugins, installed
from zoo.errors import SpecError
from zoo.models.fronts import raw_graphs
from zoo.modules import Batch, Decoder, Encoder, Front, Input, Losses, Objective, Tensors
from zoo.offers import TakesRaw
from zoo.protocols import Graph, Modality
from zoo.reading.lists import listed
from zoo.recipes.naming import PRESENT
from zoo.recipes.spec import InputSpec, ModelSpec, Part

# The parts of an input, as in ``picture.encoder``.
ENCODER, DECODER = "encoder", "decoder"


@dataclass(frozen=True)
class Model:
    """A spec, its fitted modalities and its objective, which holds all the weights.

    ``made`` holds the encoders and decoders that were made for each input: ``picture.encoder``.
    """

    spec: ModelSpec
    modalities: Mapping[str, Modality]
    objective: Objective
    plugins: Plugins = field(default_factory=installed, repr=False)
    made: Mapping[str, Sequence[nn.Module]] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return f"<model: {self.spec.summary}; {self.parameter_count:,} parameters>"

    def losses(self, batch: Batch, noise: Tensors, *, player: str = "model") -> Losses:
        """Return the losses of a batch, whatever its gaps (missing values) hold."""
        losses: Losses = self.objective(batch, noise, player)
        return losses

    def graphs(self, names: Sequence[str] = (), *, raw: bool = True) -> list[Graph]:
        """Return the deployable functions, all or the named ones; without ``raw`` only those that read tensors.

        The model is left in evaluation mode, in which it is deployed; a training step switches back to training mode.

        Raises SpecError if a name is unknown, or if two graphs have the same name.
        """
        self.objective.eval()
        names = listed(names, "names of graphs")
        found: dict[str, Graph] = {}
        for graph in self.objective.graphs():
            if found.setdefault(graph.name, graph) is not graph:
                raise SpecError(f"two graphs of this model are called {graph.name!r}; give an input another name")
        if raw and not found.keys() >= set(names or [""]):
            found |= {graph.name: graph for graph in raw_graphs(found.values(), self.modalities, self._front)}
        for name in names:
            if name not in found:
                raise SpecError(f"no graph {name!r}; this model has {', '.join(found)}")
        return [graph for name, graph in found.items() if not names or name in names]

    def _front(self, name: str) -> Front | None:
        """Return an input's front, which reads raw values in a graph; None if no plugin has one for its modality."""
        modality = self.modalities[name]
        kind = next(part.modality.name for part in self.spec.inputs if part.name == name)
        if kind not in self.plugins.names("front") or not isinstance(modality, TakesRaw) or not modality.raw_tensors:
            return None
        front = component_class(self.plugins, "front", kind, Front)
        with self.plugins.blaming("front", kind):
            made: Front = front(modality)
        return made

    @property
    def parameter_count(self) -> int:
        """The number of trainable numbers."""
        return sum(parameter.numel() for parameter in self.objective.parameters())


def build(
    spec: ModelSpec, modalities: Mapping[str, Modality], *, seed: int = 0, plugins: Plugins | None = None
) -> Model:
    """Build a model with fresh weights, drawn with ``seed``, on fitted ``modalities``.

    Raises SpecError if a part does not fit, UnknownNameError if nothing is registered under its name.
    """
    plugins = plugins or installed()
    objective = component_class(plugins, "objective", spec.objective.name, Objective)
    with plugins.blaming("objective", spec.objective.name):
        options = checked_options(objective, "objective", spec.objective, "spec.objective")
    for part in spec.inputs:
        if hasattr(torch.nn.ModuleDict(), part.name):
            raise SpecError(f"spec.inputs.{part.name}: torch keeps this name for itself; choose another")
    for part in spec.inputs:
        _require_tensors(modalities[part.name], f"spec.inputs.{part.name}.modality {part.modality.name!r}")
    inputs = parts_of(spec, modalities, plugins)
    for name, place in inputs.items():
        if objective.needs_decoders and place.make_decoder is None:
            raise SpecError(
                f"spec.inputs.{name}: the objective {spec.objective.name!r} needs a decoder here; add "
                f"decoder = NAME, one of {', '.join(_names(plugins, 'decoder', spec, name)) or 'none installed'}"
            )
    parts: dict[str, list[nn.Module]] = {}
    kept = {name: _kept(name, place, parts) for name, place in inputs.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        with plugins.blaming("objective", spec.objective.name):
            made = objective(kept, spec.latent_dim, **options)
    for name, parameter in made.named_parameters():
        if parameter.numel() == 0:
            raise SpecError(
                f"spec.objective {spec.objective.name!r}: the parameter {name!r} has the shape "
                f"{tuple(parameter.shape)}, which holds no number; set the options of that part that give its width "
                "to at least 1"
            )
    return Model(spec, modalities, made, plugins, parts)


def _kept(name: str, place: Input, parts: dict[str, list[nn.Module]]) -> Input:
    """Return an input whose encoders and decoders are added to ``parts`` when an objective makes them."""

    def keeping(make: Callable[..., nn.Module], part: str) -> Callable[..., Any]:
        def made(*given: int) -> nn.Module:
            module = make(*given)
            parts.setdefault(part, []).append(module)
            return module

        return made

    decoder = None if place.make_decoder is None else keeping(place.make_decoder, f"{name}.{DECODER}")
    return Input(place.modality, keeping(place.make_encoder, f"{name}.{ENCODER}"), decoder)


def _require_tensors(modality: Modality, where: str) -> None:
    """Raise SpecError if a tensor of a modality has an axis of size 0, or the name of the tensor that marks gaps."""
    for name, declared in modality.tensors.items():
        if name == PRESENT:
            raise SpecError(
                f"{where}: its tensor {name!r} has the name of the tensor by which graphs say which rows have the "
                "input; give it another name in the modality's class"
            )
        widths = [axis if isinstance(axis, int) else modality.axes[axis].largest for axis in declared.axes[1:]]
        if min(widths, default=1) < 1:
            raise SpecError(
                f"{where}: its tensor {name!r} has the axes {', '.join(map(str, declared.axes))}, one of which is at "
                "most 0; set the options of the modality that give the width of a value to at least 1"
            )


def parts_of(spec: ModelSpec, modalities: Mapping[str, Modality], plugins: Plugins) -> dict[str, Input]:
    """Return, by input, the functions that make the encoders and decoders of a spec."""
    return {part.name: _input(plugins, part, modalities[part.name]) for part in spec.inputs}


def _input(plugins: Plugins, entry: InputSpec, modality: Modality) -> Input:
    where = f"spec.inputs.{entry.name}"
    if entry.encoder is None:
        raise SpecError(f"{where}: the key 'encoder' is missing; name one of this modality's encoders")
    name = entry.modality.name
    make_encoder = _factory(plugins, "encoder", name, entry.encoder, f"{where}.encoder", modality, Encoder)
    make_decoder = None
    if entry.decoder is not None:
        make_decoder = _factory(plugins, "decoder", name, entry.decoder, f"{where}.decoder", modality, Decoder)
    return Input(modality, make_encoder, make_decoder)


def _factory(
    plugins: Plugins, kind: str, modality_name: str, part: Part, where: str, modality: Modality, expected: type
) -> Any:
    registered = f"{modality_name}/{part.name}"
    component = component_class(plugins, kind, registered, expected)
    with plugins.blaming(kind, registered):
        options = checked_options(component, kind, part, where)
    return functools.partial(_build, plugins, registered, component, modality, options, kind, where)


def _build(
    plugins: Plugins,
    name: str,
    component: type,
    modality: Modality,
    options: Mapping[str, Any],
    kind: str,
    where: str,
    *given: int,
) -> Any:
    with building(plugins, kind, name, where):
        return component(modality, *given, **options)


def _names(plugins: Plugins, kind: str, spec: ModelSpec, name: str) -> list[str]:
    modality = next(entry.modality.name for entry in spec.inputs if entry.name == name)
    return [found.split("/")[1] for found in plugins.names(kind) if found.startswith(f"{modality}/")]
