"""Makes a traced graph small without touching a weight, so that other weights of the same spec fit it later."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir
import onnxscript.optimizer
from onnx_ir.passes import Sequential
from onnx_ir.passes.common import (
    CommonSubexpressionEliminationPass,
    IdentityEliminationPass,
    InlinePass,
    LiftConstantsToInitializersPass,
    LiftSubgraphInitializersToMainGraphPass,
    NameFixPass,
    OutputFixPass,
    RemoveUnusedNodesPass,
    RemoveUnusedOpsetsPass,
)


def fold(model: onnx_ir.Model, outputs: Iterable[str]) -> None:
    """Fold constants, and remove unused, duplicate and redundant nodes.

    Values computed from weights are left to the runtime, which folds them when it loads the weights. ``outputs`` are
    the names of the model's outputs; they are restored at the end, since two outputs of one value would lose a name.
    """
    InlinePass()(model)
    weights = frozenset(model.graph.initializers.values())
    onnxscript.optimizer.fold_constants(
        model, should_fold=lambda node: False if weights.intersection(node.inputs) else None
    )
    Sequential(
        RemoveUnusedNodesPass(),
        LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        LiftSubgraphInitializersToMainGraphPass(),
        CommonSubexpressionEliminationPass(),
        IdentityEliminationPass(),
        RemoveUnusedNodesPass(),
        RemoveUnusedOpsetsPass(),
        OutputFixPass(),
        NameFixPass(),
    )(model)
    for value, name in zip(model.graph.outputs, outputs, strict=True):
        value.name = name
