"""The modality ``vectors``: a few vectors a value, padded and masked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from zoo import Axis, DataError, TensorSpec

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class VectorsModality:
    """Up to ``longest`` vectors of ``width`` numbers; ``fit`` learns the scale that they are divided by."""

    width: int = 3
    longest: Annotated[int, Ge(1)] = 6
    _scale: NDArray[Any] | None = field(default=None, repr=False, compare=False)

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """``values``, zero where padded, and ``mask``, true where a vector stands."""
        return {
            "values": TensorSpec("float32", ("batch", "length", self.width)),
            "mask": TensorSpec("bool", ("batch", "length"), 0, 1),
        }

    @property
    def axes(self) -> Mapping[str, Axis]:
        """``length`` in vectors."""
        return {"length": Axis(1, self.longest, padded=True)}

    @property
    def scale(self) -> NDArray[Any]:
        """What ``fit`` learnt: the standard deviation of each number of a vector."""
        return np.ones(self.width, np.float32) if self._scale is None else self._scale

    def fit(self, values: Iterable[Any]) -> VectorsModality:
        """Return a copy that knows the scale of ``values``."""
        rows = np.concatenate([self._read(place, value) for place, value in enumerate(values)])
        return replace(self, _scale=np.nanstd(rows, axis=0))

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the scale."""
        return {"scale": self.scale}

    def with_state(self, state: Mapping[str, NDArray[Any]]) -> VectorsModality:
        """Return a copy with the scale of an earlier fit."""
        if "scale" not in state or state["scale"].shape != (self.width,) or state["scale"].dtype.kind != "f":
            raise DataError(f"the state of vectors holds 'scale', {self.width} numbers; this one holds {[*state]}")
        return replace(self, _scale=state["scale"])

    def to_arrays(self, values: Sequence[Any]) -> Mapping[str, NDArray[Any]]:
        """Return scaled vectors and their mask."""
        with np.errstate(over="ignore"):  # a state may hold any scale
            rows = [self._read(place, value) / self.scale for place, value in enumerate(values)]
        mask = np.arange(max(map(len, rows), default=1)) < np.array([len(row) for row in rows])[:, None]
        padded = np.zeros((*mask.shape, self.width), np.float32)
        padded[mask] = np.concatenate(rows)
        return {"values": padded, "mask": mask}

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> Sequence[Any]:
        """Return vectors, from ``values`` and ``mask`` or from the ``total`` of a decoder."""
        if "total" in arrays:
            return [[row.tolist()] for row in arrays["total"] * self.scale]
        rows = zip(arrays["values"] * self.scale, arrays["mask"], strict=True)
        return [row[mask].tolist() for row, mask in rows]

    def example(
        self, batch: int, sizes: Mapping[str, int], *, generator: np.random.Generator
    ) -> Mapping[str, NDArray[Any]]:
        """Draw standard normal vectors, the first row as long as the axis."""
        lengths = generator.integers(1, sizes["length"] + 1, size=batch)
        lengths[:1] = sizes["length"]
        mask = np.arange(sizes["length"]) < lengths[:, None]
        values = generator.standard_normal((*mask.shape, self.width), dtype=np.float32)
        return {"values": values * mask[..., None], "mask": mask}

    def draw(self, value: Any) -> Image:
        """Return a picture with one pixel per number."""
        from PIL import Image

        return Image.fromarray(np.clip(np.array(value) * 64 + 128, 0, 255).astype(np.uint8))

    def _read(self, place: int, value: Any) -> NDArray[Any]:
        try:
            rows = np.asarray(value, np.float32)
        except (TypeError, ValueError):
            rows = np.empty(0)
        if rows.ndim != 2 or rows.shape[1] != self.width or not 1 <= len(rows) <= self.longest:
            raise DataError(f"value {place} is {value!r:.60}; expected up to {self.longest} vectors of {self.width}")
        return rows
