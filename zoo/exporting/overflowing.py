"""Reports that torch in float32 is not finite although the same module in float64 is, and which part causes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as tree

from zoo.models.graphs import evaluating
from zoo.models.reference import as_float64, in_float64, judged
from zoo.protocols import Graph

if TYPE_CHECKING:
    from zoo.protocols import Array


def overflow(graph: Graph, inputs: Mapping[str, Array]) -> str:
    """Return a sentence on the first value of a graph on ``inputs`` that does not fit float32, empty if all fit.

    It names the innermost module that first returns infinity or NaN, its result in float64, and the largest input.
    """
    module, tensors = judged(graph, inputs)
    with evaluating(module):
        singles, doubles = _answers(module, tensors), _answers(in_float64(module), as_float64(tensors))
    for (name, kind, single), (_, _, exact) in zip(singles, doubles, strict=True):
        for found, expected in zip(single, exact, strict=True):
            lost = torch.isfinite(expected) & ~torch.isfinite(found)
            if lost.any():
                part = f"the module {name!r} ({kind})" if name else f"the graph itself ({kind})"
                return (
                    f"torch in float32 is itself not finite here, so no file can be judged: {part} is the first to give"
                    f" {found[lost][0].item()} where float64 gives {expected[lost][0].item():.3g}{_largest(inputs)}; "
                    "write it in a form that float32 holds, such as sums of exponentials by their logarithms, or have "
                    "the modality declare the range of its tensors"
                )
    return ""


def _answers(module: nn.Module, tensors: Mapping[str, Tensor]) -> list[tuple[str, str, list[Tensor]]]:
    """Return the outputs of a module and of all modules inside, by name and class, in order of computation."""
    found: list[tuple[str, str, list[Tensor]]] = []

    def keep(name: str, part: nn.Module, answer: Any) -> None:
        found.append((name, type(part).__name__, list(_floats(answer))))

    hooks = [
        part.register_forward_hook(lambda part, _, answer, name=name: keep(name, part, answer))
        for name, part in module.named_modules()
    ]
    try:
        module(tensors)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _floats(answer: Any) -> Iterator[Tensor]:
    for leaf in tree.tree_leaves(answer):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            yield leaf


def _largest(inputs: Mapping[str, Array]) -> str:
    """Return which input of float32 has the largest number, as a part of a sentence."""
    sizes = {name: float(np.abs(array).max(initial=0)) for name, array in inputs.items() if array.dtype.kind == "f"}
    if not sizes:
        return ""
    name = max(sizes, key=lambda key: sizes[key])
    return f"; the largest number of the input is {sizes[name]:.3g} in {name!r}"
