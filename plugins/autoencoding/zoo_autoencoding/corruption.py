"""Damages inputs of any modality, according to the declared dtypes and ranges of its tensors."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Int64
from torch import Tensor

from zoo import Modality, SpecError, Tensors, TensorSpec
from zoo_autoencoding.random_numbers import GRID, normal, uniform

CorruptionName = Literal["masking", "salt-and-pepper", "gaussian", "replacement"]

_SHARE = 0.3
_SCALE = 0.1
# The streams of random numbers of one tensor: one chooses the places, one or two the new values.
_HIT, _VALUE, _STREAMS = 0, 1, 3


class Corruption:
    """Damages some of the places of each row; the row's seed decides which.

    A place is one index of a tensor's free axes, such as a pixel with all its channels, or a token. If a tensor has no
    free axis, each value is a place. Boolean tensors are masks: they and the values that they hide are not changed.
    Tensors of int64 hold ids, whose order means nothing.

    ``masking`` sets a fraction ``share`` of the places to zero, or to the value of the declared range nearest to zero;
    a token becomes the id 0. ``salt-and-pepper`` sets them to the lowest or the highest value of the range, with equal
    probability. ``replacement`` sets them to another value drawn from the range. ``gaussian`` adds noise to every
    value, with a standard deviation of ``scale`` times the width of the range (or ``scale`` itself if the range is
    open), then clips and rounds to the range and dtype of the tensor.

    Raises SpecError for an option that the corruption does not have, for ids if the corruption needs their order, and
    for an open range if it needs the range's ends.

    Source: Vincent et al. 2010, "Stacked denoising autoencoders", JMLR 11, for all except ``replacement``.
    """

    def __init__(self, modality: Modality, name: CorruptionName, *, share: float | None, scale: float | None) -> None:
        self.name = name
        self.share, self.scale = _amounts(name, share, scale)
        self.masks = {key: spec for key, spec in modality.tensors.items() if spec.dtype == "bool"}
        self.values = {key: spec for key, spec in modality.tensors.items() if spec.dtype != "bool"}
        if not self.values:
            raise SpecError(
                f"the corruption {name!r} finds only masks in {', '.join(self.masks)}; use another modality"
            )
        for key, spec in self.values.items():
            _check(name, key, spec)

    def __call__(self, tensors: Tensors, seeds: Int64[Tensor, " batch"]) -> Tensors:
        """Return damaged copies, in the dtypes of ``tensors``."""
        damaged = dict(tensors)
        for number, (key, spec) in enumerate(self.values.items()):
            clean = tensors[key]
            there, first = seeds.to(clean.device), number * _STREAMS
            hit = self._hit(tensors, key, spec, there, first + _HIT)
            damaged[key] = torch.where(hit, self._put(clean, spec, there, first + _VALUE), clean)
        return damaged

    def _hit(self, tensors: Tensors, key: str, spec: TensorSpec, seeds: Tensor, stream: int) -> Tensor:
        """Return which places are damaged, in a shape that broadcasts over the tensor."""
        clean = tensors[key]
        if self.name == "gaussian":
            hit = torch.ones_like(clean, dtype=torch.bool)
        else:
            hit = _over_places(uniform(seeds, _places(clean, spec), stream=stream), clean, spec) < self.share
        for name, mask in self.masks.items():
            if set(mask.axes) <= set(spec.axes):
                hit = hit & _aligned(tensors[name], mask, spec)
        return hit

    def _put(self, clean: Tensor, spec: TensorSpec, seeds: Tensor, stream: int) -> Tensor:
        """Return the new values of the damaged places."""
        if self.name == "masking":
            return torch.full_like(clean, min(max(0.0, spec.low), spec.high))
        if self.name == "salt-and-pepper":
            low, high = (torch.full_like(clean, end) for end in (spec.low, spec.high))
            pepper = _over_places(uniform(seeds, _places(clean, spec), stream=stream), clean, spec) < 0.5
            return torch.where(pepper, low, high)
        shape = tuple(clean.shape[1:])
        if self.name == "replacement":
            return _another(clean, spec, uniform(seeds, shape, stream=stream))
        width = spec.high - spec.low if _is_bounded(spec) else 1.0
        exact = clean if clean.is_floating_point() else clean.to(torch.float32)
        noisy = exact + self.scale * width * normal(seeds, shape, stream=stream).to(exact.dtype)
        noisy = noisy.clamp(spec.low, spec.high)
        return noisy if clean.is_floating_point() else noisy.round().to(clean.dtype)


def _another(clean: Tensor, spec: TensorSpec, share: Tensor) -> Tensor:
    """Return uniformly drawn values of the range; whole numbers differ from the old ones."""
    if clean.is_floating_point():
        return (spec.low + (spec.high - spec.low) * share).to(clean.dtype)
    low, others = int(spec.low), int(spec.high) - int(spec.low)
    step = 1 + ((share * GRID).to(torch.int64) * others).div(GRID, rounding_mode="floor")
    return (low + (clean.to(torch.int64) - low + step) % (others + 1)).to(clean.dtype)


def _places(tensor: Tensor, spec: TensorSpec) -> tuple[int, ...]:
    sizes = list(zip(spec.axes[1:], tensor.shape[1:], strict=True))
    free = tuple(size for axis, size in sizes if isinstance(axis, str))
    return free or tuple(size for _, size in sizes)


def _over_places(numbers: Tensor, tensor: Tensor, spec: TensorSpec) -> Tensor:
    """Return random numbers for each place, in a shape that broadcasts over the tensor."""
    if not any(isinstance(axis, str) for axis in spec.axes[1:]):
        return numbers
    return numbers.reshape(
        [size if isinstance(axis, str) else 1 for axis, size in zip(spec.axes, tensor.shape, strict=True)]
    )


def _aligned(mask: Tensor, mask_spec: TensorSpec, spec: TensorSpec) -> Tensor:
    """Return a mask in a shape that broadcasts over a tensor that has all of its axes, in the same order."""
    sizes = dict(zip(mask_spec.axes, mask.shape, strict=True))
    return mask.reshape([sizes.get(axis, 1) for axis in spec.axes])


def _is_bounded(spec: TensorSpec) -> bool:
    return math.isfinite(spec.low) and math.isfinite(spec.high)


def _amounts(name: CorruptionName, share: float | None, scale: float | None) -> tuple[float, float]:
    """Return the share of places and the scale of noise; the one that the corruption does not use is zero."""
    other, unused = ("share", share) if name == "gaussian" else ("scale", scale)
    if unused is not None:
        raise SpecError(
            f"the option {other!r} is for another 'corruption', got {other} {unused} and corruption {name!r}; "
            "drop one of the two"
        )
    if name == "gaussian":
        return 0.0, _SCALE if scale is None else scale
    return _SHARE if share is None else share, 0.0


def _check(name: CorruptionName, key: str, spec: TensorSpec) -> None:
    if spec.dtype == "int64" and name in ("gaussian", "salt-and-pepper"):
        raise SpecError(
            f"the corruption {name!r} takes numbers, and {key!r} holds ids; choose 'masking' or 'replacement'"
        )
    if name in ("salt-and-pepper", "replacement") and not _is_bounded(spec):
        raise SpecError(
            f"the corruption {name!r} needs a range with two ends, and {key!r} goes from {spec.low} to {spec.high}; "
            "choose 'masking' or 'gaussian'"
        )
