"""Deployable functions that read raw values: each graph once more, with fronts before it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from zoo.graphs import prefixed
from zoo.modules import Front, Tensors
from zoo.protocols import Graph, Modality, Reference, TakesRaw
from zoo.regimes import every_value

if TYPE_CHECKING:
    from zoo.protocols import Array

RAW = ".raw"


class _Fronted(nn.Module):
    """A graph's module behind the fronts of some of its inputs."""

    def __init__(self, module: nn.Module, fronts: Mapping[str, Front], raw: frozenset[str]) -> None:
        super().__init__()
        self.module = module
        self.fronts = nn.ModuleDict(fronts)
        self.raw = raw

    def forward(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return what the module makes of the tensors that the fronts read."""
        read = {name: tensor for name, tensor in tensors.items() if name not in self.raw}
        for name, front in self.fronts.items():
            own = {key.removeprefix(f"{name}."): tensors[key] for key in self.raw if key.startswith(f"{name}.")}
            read |= {f"{name}.{tensor}": made for tensor, made in front(own).items()}
        found: dict[str, Tensor] = self.module(read)
        return found


def raw_graphs(
    graphs: Iterable[Graph], modalities: Mapping[str, Modality], front: Callable[[str], Front | None]
) -> Iterator[Graph]:
    """Yield ``<graph>.raw`` for each graph that reads an input with a front.

    It takes the input's ``raw_tensors`` in place of its tensors and gives the same outputs by the same names. ``front``
    makes the front of an input, or says that there is none.
    """
    front = functools.cache(front)
    for graph in graphs:
        fronts = {
            name: made
            for name, modality in modalities.items()
            if _reads(graph, name, modality) and (made := front(name)) is not None
        }
        if fronts:
            yield _raw(graph, {name: modalities[name] for name in fronts}, fronts)


def _reads(graph: Graph, name: str, modality: Modality) -> bool:
    """Return whether a graph takes all tensors of an input, and gives nothing that is as long as one of them."""
    axes = {f"{name}.{axis}" for axis in modality.axes}
    as_long = any(axes.intersection(map(str, spec.axes)) for spec in graph.outputs.values())
    return {f"{name}.{tensor}" for tensor in modality.tensors} <= set(graph.inputs) and not as_long


def _raw(graph: Graph, modalities: Mapping[str, Modality], fronts: Mapping[str, Front]) -> Graph:
    takes = {name: modality for name, modality in modalities.items() if isinstance(modality, TakesRaw)}
    tensors = [f"{name}.{tensor}" for name, modality in modalities.items() for tensor in modality.tensors]
    axes = [f"{name}.{axis}" for name, modality in modalities.items() for axis in modality.axes]
    parts = [prefixed(name, modality.raw_tensors, modality.raw_axes) for name, modality in takes.items()]
    raw = frozenset(key for specs, _ in parts for key in specs)
    least = {axis: graph.axes[axis].smallest for axis in axes}
    bounds_of_axes = {key: axis for _, bounds in parts for key, axis in bounds.items()}
    bounds_of_axes |= {key: axis for key, axis in graph.axes.items() if key not in axes}

    def draw(batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> dict[str, Array]:
        drawn = graph.draw(batch, {**sizes, **least}, generator)
        arrays = {name: array for name, array in drawn.items() if name not in tensors}
        for name, modality in takes.items():
            own = {axis.removeprefix(f"{name}."): size for axis, size in sizes.items() if axis.startswith(f"{name}.")}
            made = modality.raw_example(batch, own, generator=generator)
            arrays |= {f"{name}.{tensor}": array for tensor, array in made.items()}
        return arrays

    def read(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        found = {name: array for name, array in arrays.items() if name not in raw}
        for name, modality in takes.items():
            own = {key.removeprefix(f"{name}."): arrays[key] for key in raw if key.startswith(f"{name}.")}
            made = modalities[name].to_arrays(modality.from_raw_arrays(own))
            found |= {f"{name}.{tensor}": array for tensor, array in made.items()}
        return found

    def spelt(generator: np.random.Generator) -> Iterator[tuple[str, Mapping[str, Array]]]:
        smallest = {axis: bounds.smallest for axis, bounds in bounds_of_axes.items()}
        for name, modality in takes.items():
            own = {f"{name}.{tensor}": tensor for tensor in modalities[name].tensors}
            for key in own:
                if graph.inputs[key].dtype == "int64":
                    held = every_value(graph, key, generator)
                    values = modalities[name].from_arrays({tensor: held[full] for full, tensor in own.items()})
                    made = modality.to_raw_arrays(values)
                    yield (
                        key,
                        draw(len(values), smallest, generator)
                        | {f"{name}.{tensor}": array for tensor, array in made.items()},
                    )

    return Graph(
        f"{graph.name}{RAW}",
        _Fronted(graph.module, fronts, raw),
        {key: spec for specs, _ in parts for key, spec in specs.items()}
        | {key: spec for key, spec in graph.inputs.items() if key not in tensors},
        graph.outputs,
        bounds_of_axes,
        draw,
        graph.parity_ulps,
        graph.parity_reason,
        Reference(graph.module, read, raw, spelt),
    )
