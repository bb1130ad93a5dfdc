"""Deployable functions that read raw values: each graph once more, with fronts before it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from torch import Tensor, nn

from zoo.models.graphs import prefixed
from zoo.modules import Front, Tensors
from zoo.offers import TakesRaw
from zoo.parity.regimes import every_value
from zoo.protocols import Graph, Modality, Reference, Stage

if TYPE_CHECKING:
    from zoo.protocols import Array

RAW = ".raw"
Value = TypeVar("Value")


class _Reader(nn.Module):
    """The front of one input, its tensors by the names that a graph has for them."""

    def __init__(self, name: str, front: Front) -> None:
        super().__init__()
        self.name = name
        self.front = front

    def forward(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return what the front reads."""
        own = {name.removeprefix(f"{self.name}."): tensor for name, tensor in tensors.items()}
        return {f"{self.name}.{name}": tensor for name, tensor in self.front(own).items()}


class _Fronted(nn.Module):
    """A graph's module behind the fronts of some of its inputs."""

    def __init__(self, module: nn.Module, fronts: Mapping[str, Graph]) -> None:
        super().__init__()
        self.module = module
        self.fronts = nn.ModuleDict({name: front.module for name, front in fronts.items()})
        self.raw = {name: tuple(front.inputs) for name, front in fronts.items()}

    def forward(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return what the module makes of the tensors that the fronts read."""
        read = dict(tensors)
        for name, front in self.fronts.items():
            read |= front({key: read.pop(key) for key in self.raw[name]})
        found: dict[str, Tensor] = self.module(read)
        return found


def raw_graphs(
    graphs: Iterable[Graph], modalities: Mapping[str, Modality], front: Callable[[str], Front | None]
) -> Iterator[Graph]:
    """Yield ``<graph>.raw`` for each graph that reads an input with a front.

    It takes the input's ``raw_tensors`` in place of its tensors and gives the same outputs by the same names. ``front``
    makes the front of an input, or says that there is none.
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
    """Return whether a graph takes all tensors of an input, and gives nothing that is as long as one of them."""
    axes = {f"{name}.{axis}" for axis in modality.axes}
    as_long = any(axes.intersection(map(str, spec.axes)) for spec in graph.outputs.values())
    return {f"{name}.{tensor}" for tensor in modality.tensors} <= set(graph.inputs) and not as_long


def _read_graph(name: str, modality: Modality, front: Front) -> Graph:
    """Return the graph ``read_<input>``: the raw values of an input to its tensors."""
    takes = cast(TakesRaw, modality)
    inputs, axes = prefixed(name, takes.raw_tensors, takes.raw_axes)
    outputs, _ = prefixed(name, modality.tensors, modality.axes)

    def draw(batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> dict[str, Array]:
        made = takes.raw_example(batch, _own(name, sizes), generator=generator)
        return {f"{name}.{tensor}": array for tensor, array in made.items()}

    return Graph(f"read_{name}", _Reader(name, front), inputs, outputs, axes, draw)


def _raw(graph: Graph, modalities: Mapping[str, Modality], fronts: Mapping[str, Graph]) -> Graph:
    takes = {name: cast(TakesRaw, modalities[name]) for name in fronts}
    tensors = {key for front in fronts.values() for key in front.outputs}
    least = {f"{name}.{axis}": bounds.smallest for name in fronts for axis, bounds in modalities[name].axes.items()}
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
            own = _own(name, {key: arrays[key] for key in front.inputs})
            made = modalities[name].to_arrays(takes[name].from_raw_arrays(own))
            found |= {f"{name}.{tensor}": array for tensor, array in made.items()}
        return found

    def spelt(generator: np.random.Generator) -> Iterator[tuple[str, Mapping[str, Array]]]:
        smallest = {axis: bounds.smallest for axis, bounds in axes.items()}
        for name, front in fronts.items():
            for key in front.outputs:
                if graph.inputs[key].dtype == "int64":
                    held = every_value(graph, key, generator)
                    values = modalities[name].from_arrays(_own(name, {full: held[full] for full in front.outputs}))
                    made = takes[name].to_raw_arrays(values)
                    others = draw(len(values), smallest, generator)
                    yield key, others | {f"{name}.{tensor}": array for tensor, array in made.items()}

    return Graph(
        f"{graph.name}{RAW}",
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
    )


def _own(name: str, named: Mapping[str, Value]) -> dict[str, Value]:
    """Return what bears the name of an input as its prefix, without it."""
    return {key.removeprefix(f"{name}."): value for key, value in named.items() if key.startswith(f"{name}.")}
