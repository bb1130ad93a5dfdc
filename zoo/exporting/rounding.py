"""The effect of rounding on a module: its results after small perturbations of its weights or intermediate numbers."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as tree
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.models.reference import as_float64, in_float64, judged
from zoo.protocols import Graph

if TYPE_CHECKING:
    from zoo.protocols import Array

DRAWS = 8
UNITS = 16  # in the last place: the default tolerance of a graph's results
_ULP = 2.0**-23
_PAIRS = 2  # each in both directions, so that either of two almost equal values may win


@torch.no_grad()
def moved_on_the_way(graph: Graph, inputs: Mapping[str, Array], *, seed: int = 0) -> Iterator[dict[str, Array]]:
    """Yield ``DRAWS`` results, by name, of a graph's module in float64 with every operation perturbed.

    If a result does not fit float32 exactly, each of its numbers x is replaced by a random one that float32 can hold:

        x · (1 + u · 2⁻²³)   with |u| ≤ UNITS

    Results that are exact in float32, such as a count or a choice between numbers, stay. So these are results that
    float32 may give in any order of computation and by any kernel. They differ widely if a later operation, such as an
    exponential, amplifies the rounding.

    Source: Parker 1997, "Monte Carlo arithmetic: exploiting randomness in floating-point arithmetic", UCLA CSD-970002.
    """
    module, single = judged(graph, inputs)
    double, tensors = in_float64(module), as_float64(single)
    for draw in range(DRAWS):
        with _Moved(torch.Generator().manual_seed(seed + draw)):
            made = double(tensors)
        yield {name: tensor.numpy() for name, tensor in made.items()}


@torch.no_grad()
def moved_weights(double: nn.Module, ulps: int, seed: int) -> Iterator[nn.Module]:
    """Yield copies of a module with its weights perturbed by about ``ulps`` · 2⁻²³ of themselves."""
    for move in range(_PAIRS):
        for side in (-1, 1):
            generator = torch.Generator().manual_seed(seed + move)
            module = copy.deepcopy(double)
            for weight in module.parameters():
                share = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
                weight.mul_(1 + side * ulps * _ULP * share)
            yield module


class _Moved(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Perturbs the result of each operation, unless float32 holds it exactly."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.generator = generator

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        return tree.tree_map_only(Tensor, partial(self._moved, in_place=func._schema.is_mutable), made)

    def _moved(self, exact: Tensor, *, in_place: bool) -> Tensor:
        if exact.dtype is not torch.float64:
            return exact
        if not (exact.isfinite() & (exact.float() != exact)).any():
            return exact
        share = 2 * torch.rand(exact.shape, generator=self.generator, dtype=exact.dtype) - 1
        moved = (exact * (1 + UNITS * _ULP * share)).float().double()
        return exact.copy_(moved) if in_place else moved
