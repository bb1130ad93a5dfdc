"""The reference that a graph is judged against: the module that it implements, and the same in float64."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from zoo.models.graphs import as_tensors
from zoo.protocols import Graph

if TYPE_CHECKING:
    from zoo.protocols import Array


def judged(graph: Graph, inputs: Mapping[str, Array]) -> tuple[nn.Module, dict[str, Tensor]]:
    """Return the module that a graph is judged against, and its arguments for ``inputs`` of the graph."""
    if graph.reference is None:
        return graph.module, as_tensors(inputs)
    return graph.reference.module, as_tensors(graph.reference.arrays(inputs))


def in_float64(module: nn.Module) -> nn.Module:
    """Return a copy of a module in float64 and in evaluation mode."""
    return copy.deepcopy(module).double().eval()


def as_float64(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return floating-point tensors in float64, and others, such as masks and ids, unchanged."""
    return {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
