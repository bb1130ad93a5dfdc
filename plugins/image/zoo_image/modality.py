"""The modality ``image``: turns pictures into pixels, and pixels into pictures, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from PIL import Image

from zoo import Axis, DataError, SpecError, TensorSpec, UsageError, listed
from zoo_image.reading import SUFFIXES, picture_of

Array = NDArray[Any]
_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class ImageModality:
    """Pictures of ``size`` by ``size`` pixels, in colour or (``channels = 1``) in grey.

    A raw value is a Pillow image, an array of uint8, (height, width) or (height, width, 3 or 4), or the path of a
    picture file. A value of another size is resized, each side separately, by ``resampling``. With ``shorter_side``,
    the shorter side of a picture is resized to so many pixels, the other one in proportion, and the square of ``size``
    in its middle is cut out. Transparent parts become white.

    Raises SpecError if ``shorter_side`` is smaller than ``size``.
    """

    size: Annotated[int, Ge(1)] = 32
    channels: Literal[1, 3] = 3
    resampling: Literal["bilinear", "bicubic"] = "bilinear"
    shorter_side: Annotated[int, Ge(1)] | None = None

    def __post_init__(self) -> None:
        """Check that the options fit each other."""
        if self.shorter_side is not None and self.shorter_side < self.size:
            raise SpecError(
                f"the option 'shorter_side' is at least 'size', got shorter_side {self.shorter_side} and size "
                f"{self.size}"
            )

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The pixels as uint8; encoders take them at any size and resize them inside the graph."""
        return {"pixels": TensorSpec("uint8", ("batch", self.channels, "height", "width"), 0, 255)}

    @property
    def axes(self) -> Mapping[str, Axis]:
        """Both sides are free."""
        side = Axis(min(8, self.size), max(128, self.size))
        return {"height": side, "width": side}

    @property
    def file_suffixes(self) -> frozenset[str]:
        """Of the files that ``to_arrays`` reads."""
        return SUFFIXES

    def fit(self, values: Iterable[Any]) -> Self:
        """Return the modality itself: there is nothing to learn."""
        return self

    def state(self) -> Mapping[str, Array]:
        """Return nothing: nothing was learnt."""
        return {}

    def with_state(self, state: Mapping[str, Array]) -> Self:
        """Return the modality itself."""
        return self

    def to_arrays(self, values: Sequence[Any]) -> Mapping[str, Array]:
        """Return ``pixels``, (batch, channels, size, size).

        Raises DataError, naming the position and the file, if a value is not a picture or a file is broken, and
        UsageError if a single picture is given in place of a list.
        """
        _refuse_lone(listed(values, "pictures"))
        if self._are_pixels_already(values):
            pixels = np.stack(values)
            return {"pixels": np.ascontiguousarray(self._channels_first(pixels))}
        pixels = np.empty((len(values), self.channels, self.size, self.size), np.uint8)
        for position, value in enumerate(values):
            picture = self._fitting(picture_of(value, position))
            pixels[position] = self._channels_first(np.asarray(picture))
        return {"pixels": pixels}

    def from_arrays(self, arrays: Mapping[str, Array]) -> Sequence[Image.Image]:
        """Return pictures of ``pixels``, or of a decoder's ``intensity`` from 0 (black) to 1.

        Raises DataError if neither is given, or an intensity is NaN.
        """
        if "pixels" in arrays:
            pixels = arrays["pixels"]
        elif "intensity" in arrays:
            intensity = arrays["intensity"]
            if np.isnan(intensity).any():
                raise DataError("intensity holds NaN, expected numbers from 0 to 1; look for NaN in the model's inputs")
            pixels = np.rint(np.clip(intensity, 0, 1) * 255).astype(np.uint8)
        else:
            raise DataError(f"expected an array 'pixels' or 'intensity', got {', '.join(arrays) or 'none'}")
        return [Image.fromarray(row[0] if len(row) == 1 else np.moveaxis(row, 0, -1)) for row in pixels]

    def example(self, batch: int, sizes: Mapping[str, int], *, generator: np.random.Generator) -> Mapping[str, Array]:
        """Draw noise."""
        shape = (batch, self.channels, sizes["height"], sizes["width"])
        return {"pixels": generator.integers(0, 256, shape, np.uint8)}

    def draw(self, value: Image.Image | Array | str | Path) -> Image.Image:
        """Return the picture at its own size, with the colours that ``to_arrays`` would see."""
        return picture_of(value, 0).convert(self._mode)

    @property
    def _mode(self) -> str:
        return "L" if self.channels == 1 else "RGB"

    @property
    def _is_square_resized(self) -> bool:
        """Whether a picture of ``size`` by ``size`` pixels stays as it is."""
        return self.shorter_side in (None, self.size)

    def _are_pixels_already(self, values: Sequence[Any]) -> bool:
        shape = (self.size, self.size) if self.channels == 1 else (self.size, self.size, 3)
        return (
            len(values) > 0
            and self._is_square_resized
            and all(
                isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.shape == shape for value in values
            )
        )

    def _channels_first(self, pixels: Array) -> Array:
        axis = pixels.ndim - 3 if self.channels == 3 else -2
        return np.moveaxis(pixels, -1, axis) if self.channels == 3 else np.expand_dims(pixels, -3)

    def _fitting(self, picture: Image.Image) -> Image.Image:
        coloured = picture if picture.mode == self._mode else picture.convert(self._mode)
        if coloured.size == (self.size, self.size) and self._is_square_resized:
            return coloured
        if self.shorter_side is None:
            return coloured.resize((self.size, self.size), _RESAMPLING[self.resampling])
        shorter = min(coloured.size)
        width, height = (int(self.shorter_side * side / shorter) for side in coloured.size)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        resized = coloured.resize((width, height), _RESAMPLING[self.resampling])
        return resized.crop((left, top, left + self.size, top + self.size))


def _refuse_lone(values: Any) -> None:
    """Raise UsageError if ``values`` is an array that may be one picture: its rows would be taken for pictures.

    An array of several pictures is (row, height, width) or (row, height, width, channels).
    """
    if isinstance(values, np.ndarray) and (values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))):
        raise UsageError(
            f"pictures: expected a list of values, got one array of shape {values.shape}, which is one picture; "
            "give [picture]"
        )
