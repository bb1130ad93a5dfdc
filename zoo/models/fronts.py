"""Deployable functions that read raw values: a second version of each graph, with fronts before it.

A front is a module that turns raw values, such as the bytes of a text, into an input's tensors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
from torch import Tensor, nn

from zoo.models.graphs import prefixed
from zoo.modules import Front, Tensors
from zoo.offers import TakesRaw
from zoo.parity.regimes import every_value
from zoo.protocols import Graph, Modality, Reference, Stage
from zoo.recipes.naming import READ, graph_name, of_owner, raw_name, with_owner

if TYPE_CHECKING:
    from zoo.protocols import Array


class _Reader(nn.Module):
    """The front of one input; its tensors are named as a graph names them."""

    def __init__(self, name: str, front: Front) -> None:
        super().__init__()
        self.name = name
        self.front = front

    def forward(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the tensors that the front makes."""
        return with_owner(self.name, self.front(of_owner(self.name, tensors)))


class _Fronted(nn.Module):
    """A graph's module behind the fronts of some of its inputs."""

    def __init__(self, module: nn.Module, fronts: Mapping[str, Graph]) -> None:
        super().__init__()
        self.module = module
        self.fronts = nn.ModuleDict({name: front.module for name, front in fronts.items()})
        self.raw = {name: tuple(front.inputs) for name, front in fronts.items()}

    def forward(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the module's outputs for the tensors that the fronts make."""
        read = dict(tensors)
        for name, front in self.fronts.items():
            read |= front({key: read.pop(key) for key in self.raw[name]})
        found: dict[str, Tensor] = self.module(read)
        return found


def raw_graphs(
    graphs: Iterable[Graph], modalities: Mapping[str, Modality], front: Callable[[str], Front | None]
) -> Iterator[Graph]:
    """Yield ``<graph>.raw`` for each graph that reads an input with a front.

    It takes the input's ``raw_tensors`` instead of its tensors; its outputs are the same. ``front`` returns the front
    of an input, or None.
    """

    @functools.cache
    def read_graph(name: str) -> Graph | None:
        made = front(name)
        return None if made is None else _read_graph(name, modalities[name], made)

    for graph in graphs:
        needed = [name for name, modality in modalities.items() if _reads(graph, name, modality)]
        if fronts := {name: made for name in needed if (made := read_graph(name)) is not None}:
            yield _raw(graph, modalities, fronts)


def _reads(graph: Graph, name: str, modality: Modality) -> bool:
    """Return whether a graph reads all tensors of an input, and has no output as long as one of them."""
    axes = set(with_owner(name, modality.axes))
    as_long = any(axes.intersection(map(str, spec.axes)) for spec in graph.outputs.values())
    return with_owner(name, modality.tensors).keys() <= set(graph.inputs) and not as_long


def _read_graph(name: str, modality: Modality, front: Front) -> Graph:
    """Return the graph ``read_<input>``, from the raw values of an input to its tensors."""
    takes = cast(TakesRaw, modality)
    inputs, axes = prefixed(name, takes.raw_tensors, takes.raw_axes)
    outputs, _ = prefixed(name, modality.tensors, modality.axes)

    def draw(batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> dict[str, Array]:
        return with_owner(name, takes.raw_example(batch, of_owner(name, sizes), generator=generator))

    module = _Reader(name, front)
    return Graph(graph_name(READ, name), module, inputs, outputs, axes, draw, kind=READ, source=name, raw=True)


def _raw(graph: Graph, modalities: Mapping[str, Modality], fronts: Mapping[str, Graph]) -> Graph:
    takes = {name: cast(TakesRaw, modalities[name]) for name in fronts}
    tensors = {key for front in fronts.values() for key in front.outputs}
    bounds_of = {key: bounds for name in fronts for key, bounds in with_owner(name, modalities[name].axes).items()}
    least = {axis: bounds.smallest for axis, bounds in bounds_of.items()}
    raw = frozenset(key for front in fronts.values() for key in front.inputs)
    axes = {key: axis for front in fronts.values() for key, axis in front.axes.items()}
    axes |= {key: axis for key, axis in graph.axes.items() if key not in least}

    def draw(batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> dict[str, Array]:
        drawn = graph.draw(batch, {**sizes, **least}, generator)
        arrays = {name: array for name, array in drawn.items() if name not in tensors}
        for front in fronts.values():
            arrays |= front.draw(batch, sizes, generator)
        return arrays

    def read(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        found = {name: array for name, array in arrays.items() if name not in raw}
        for name, front in fronts.items():
            own = of_owner(name, {key: arrays[key] for key in front.inputs})
            found |= with_owner(name, modalities[name].to_arrays(takes[name].from_raw_arrays(own)))
        return found

    def spelt(generator: np.random.Generator) -> Iterator[tuple[str, Mapping[str, Array]]]:
        smallest = {axis: bounds.smallest for axis, bounds in axes.items()}
        for name, front in fronts.items():
            for key in front.outputs:
                if graph.inputs[key].dtype == "int64":
                    held = every_value(graph, key, generator)
                    values = modalities[name].from_arrays(of_owner(name, {full: held[full] for full in front.outputs}))
                    made = takes[name].to_raw_arrays(values)
                    others = draw(len(values), smallest, generator)
                    yield key, others | with_owner(name, made)

    return Graph(
        raw_name(graph.name),
        _Fronted(graph.module, fronts),
        {key: spec for front in fronts.values() for key, spec in front.inputs.items()}
        | {key: spec for key, spec in graph.inputs.items() if key not in tensors},
        graph.outputs,
        axes,
        draw,
        graph.parity_ulps,
        graph.parity_reason,
        Reference(graph.module, read, raw, spelt),
        (
            *(Stage(front, f"fronts.{name}") for name, front in fronts.items()),
            *(
                replace(stage, place=f"module.{stage.place}".rstrip("."))
                for stage in graph.stages or [Stage(graph, "")]
            ),
        ),
        graph.kind,
        graph.source,
        graph.target,
        raw=True,
    )
