"""The first 10,000 training pictures of MNIST, ordered by digit; they lie inside this package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo_datasets.packed import Packed, images_bytes, images_in, labels_bytes, labels_in

_BUNDLED = Path(__file__).with_name("data") / "mnist"
_IMAGES = Packed(
    "first-10k-images-idx3-ubyte.gz",
    images_bytes(10000),
    "4e3355b0dd14bc12e53353f1d2789806361e6ef7350c92a8c5e778a74ea77696",
)
_LABELS = Packed(
    "first-10k-labels-idx1-ubyte.gz",
    labels_bytes(10000),
    "364de413ea4102745aa4d08a168e3501716cb789ace0f8b3033481882a00e25f",
)


def first_pictures() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the pictures, (10000, 28, 28), white on black, and the digit that each shows."""
    images, labels = _IMAGES.unpacked(_BUNDLED / _IMAGES.name), _LABELS.unpacked(_BUNDLED / _LABELS.name)
    return images_in(images), labels_in(labels)
