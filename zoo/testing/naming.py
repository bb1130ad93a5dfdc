"""Describes faults of numbers and gradients: how many are NaN, in which row, of which parameter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from zoo.protocols import TensorSpec


def require_finite(what: str, values: Any) -> None:
    """Assert that a tensor or an array holds finite numbers only."""
    tensor = torch.as_tensor(values)
    for kind, wrong in (("NaN", tensor.isnan()), ("infinite", tensor.isinf())):
        count = int(wrong.sum())
        where = f", first in row {int(wrong.nonzero()[0][0])}" if count and wrong.dim() else ""
        assert not count, f"{what}: {count} of {tensor.numel()} values are {kind}{where}"


def require_range(what: str, values: Any, spec: TensorSpec) -> None:
    """Assert that values lie in their declared range; NaN is outside of every range."""
    tensor = torch.as_tensor(values)
    if tensor.numel() == 0 or tensor.dtype == torch.bool:
        return
    count = int(tensor.isnan().sum())
    assert not count, f"{what}: {count} of {tensor.numel()} values are NaN"
    low, high = tensor.min().item(), tensor.max().item()
    assert spec.low <= low <= high <= spec.high, (
        f"{what} leaves its range: declared {spec.low:g} to {spec.high:g}, found {low:g} to {high:g}"
    )


def require_gradients(module: nn.Module, parameters: Iterable[nn.Parameter] | None = None) -> None:
    """Assert that every trained parameter of a module, or every one in ``parameters``, has a gradient."""
    asked = {id(parameter) for parameter in (module.parameters() if parameters is None else parameters)}
    idle = [
        name
        for name, parameter in module.named_parameters()
        if id(parameter) in asked and parameter.requires_grad and parameter.grad is None
    ]
    assert not idle, (
        f"no gradient reaches {', '.join(idle)}; use each parameter in forward, or set requires_grad to False for "
        "parameters that are not trained"
    )


def require_finite_gradients(module: nn.Module) -> None:
    """Assert that each gradient of a module holds finite numbers only."""
    for name, parameter in module.named_parameters():
        if isinstance(parameter.grad, Tensor):
            require_finite(f"the gradient of {name}", parameter.grad)
