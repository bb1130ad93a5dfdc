"""Runs a module on inputs and weights of many magnitudes: results that fit float32 must be finite in it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)

# The factors for inputs and for weights. In an encoder, the factor of the weights counts once per layer.
SIZES = ((1e-6, 1.0), (100.0, 1.0), (1e4, 1.0), (1.0, 30.0), (1.0, 1000.0))
SIZES_OF_ENCODERS = SIZES[:-1]
# An intermediate sum of squares may be larger than the result, so this leaves room.
_FITS = torch.finfo(torch.float32).max / 2**20


def check_edges(
    module: Module,
    values: Callable[[Module, float, torch.dtype], Mapping[str, Tensor]],
    *,
    doing: str,
    sizes: Iterable[tuple[float, float]] = SIZES,
) -> None:
    """Assert that values and gradients of a module are finite in float32 if they are finite and fit in float64.

    ``values`` takes a copy of the module, the factor for inputs and the dtype to compute in; it returns values by name.
    A value fits if it is below a millionth of float32's largest number. Gradients are those of the sum of all values,
    and are checked if all of these fit. ``doing`` describes the computation in the message.
    """
    for inputs, weights in sizes:
        found = []
        for dtype in (torch.float64, torch.float32):
            scaled = copy.deepcopy(module).to(dtype)
            with torch.no_grad():
                for parameter in scaled.parameters():
                    parameter.mul_(weights)
            made = values(scaled, inputs, dtype)
            found.append((made, dict(_gradients(scaled, made))))
        (double, double_gradients), (single, single_gradients) = found
        where = f"{doing}, inputs × {inputs:g}, weights × {weights:g}"
        fits = [_check(where, name, single[name], exact) for name, exact in double.items()]
        if all(fits) and all(_fits(exact).all() for exact in double_gradients.values()):
            for name, exact in double_gradients.items():
                _check(where, f"the gradient of {name}", single_gradients[name], exact)


def _check(where: str, name: str, single: Tensor, double: Tensor) -> bool:
    """Assert that a tensor is finite wherever its float64 version fits; return whether all of it fits."""
    fits = _fits(double)
    lost = fits & ~torch.isfinite(single)
    assert not lost.any(), (
        f"{where}: {name} is {single[lost][0].item()} in float32, {double[lost][0].item():.3g} in float64; compute it "
        "in a form that stays in float32's range, such as sums of exponentials by their logarithms, or limit the "
        "logarithm of a scale by zoo.limited"
    )
    return bool(fits.all())


def _fits(double: Tensor) -> Tensor:
    return double.isfinite() & (double.abs() <= _FITS)


def _gradients(module: nn.Module, values: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the gradient of each parameter that has one, by its name."""
    total = torch.stack([value.sum() for value in values.values() if value.is_floating_point()]).sum()
    if total.requires_grad:
        total.backward()
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            yield name, parameter.grad


def of_size(tensors: Mapping[str, Tensor], size: float, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return tensors in ``dtype``, their floating-point numbers multiplied; ids, masks and bytes stay unchanged."""
    return {name: tensor.to(dtype) * size if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
