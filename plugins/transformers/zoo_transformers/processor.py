"""What a folder's preprocessor_config.json says about pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import DataError
from zoo_transformers.folders import read_table

PROCESSOR = "preprocessor_config.json"
_RESAMPLING = {2: "bilinear", 3: "bicubic"}
_BRIGHTEST = 255


@dataclass(frozen=True)
class Pictures:
    """Options of the modality ``image``, and the mean and the deviation of each colour."""

    modality: Mapping[str, Any]
    mean: list[float]
    std: list[float]


def pictures_of(path: Path) -> Pictures:
    """Read how pictures are made into numbers.

    Raises DataError, naming the key, if the file is missing or says what the modality ``image`` cannot do.
    """
    told = read_table(path)
    if not told.get("do_resize", True):
        raise DataError(f"{path} says do_resize = false; only pictures of one size can be imported")
    factor = told.get("rescale_factor", 1 / _BRIGHTEST)
    if not told.get("do_rescale", True) or not math.isclose(factor, 1 / _BRIGHTEST, rel_tol=1e-6):
        raise DataError(f"{path} does not divide levels by {_BRIGHTEST}, as the encoder 'image/pretrained' does")
    resample = told.get("resample")
    if resample not in _RESAMPLING:
        raise DataError(f"{path} has the resample {resample!r}; 2 (bilinear) and 3 (bicubic) can be imported")
    modality = {**_sizes(path, told), "resampling": _RESAMPLING[resample]}
    if not told.get("do_normalize", True):
        return Pictures(modality, [0.0] * 3, [1.0] * 3)
    return Pictures(modality, _colours(path, told, "image_mean"), _colours(path, told, "image_std"))


def _sizes(path: Path, told: Mapping[str, Any]) -> dict[str, int]:
    """Return the option ``size``, and ``shorter_side`` if the middle of the picture is cut out."""
    size, crop = told.get("size"), told.get("crop_size") if told.get("do_center_crop") else None
    resized, cut = _square(size), _square(crop)
    shorter = size.get("shortest_edge") if isinstance(size, Mapping) else size
    if crop is None and resized:
        return {"size": resized}
    if cut and isinstance(shorter, int) and shorter >= cut:
        return {"size": cut, "shorter_side": shorter}
    if cut and resized and resized == cut:
        return {"size": cut}
    raise DataError(
        f"{path} has the size {size!r} and the crop_size {crop!r}; a square, or a square cut out of a picture whose "
        "shorter side is given, can be imported"
    )


def _square(size: Any) -> int:
    """Return the side of a square; 0 if it is none."""
    if isinstance(size, Mapping):
        height, width = size.get("height"), size.get("width")
        return height if isinstance(height, int) and height == width else 0
    return size if isinstance(size, int) else 0


def _colours(path: Path, told: Mapping[str, Any], key: str) -> list[float]:
    values = told.get(key)
    if not isinstance(values, list) or len(values) != 3 or not all(isinstance(value, int | float) for value in values):
        raise DataError(f"{path} has the {key} {values!r}, expected three numbers, one per colour")
    return [float(value) for value in values]
