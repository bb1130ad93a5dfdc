"""Fashion-MNIST: 70,000 grey pictures of clothes in ten classes.

The test pictures lie inside this package. The training pictures are read from the Debian package
``dataset-fashion-mnist`` or fetched from where their authors publish them.

Source: Xiao, Rasul & Vollgraf 2017, arXiv 1708.07747.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo import DataError, NotFoundError, OfflineError, Sample, Wanted, fetch
from zoo_datasets.packed import Packed, images_bytes, images_in, labels_bytes, labels_in

CLASSES = (
    "t-shirt or top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
_BUNDLED = Path(__file__).with_name("data") / "fashion-mnist"
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_UPSTREAM = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Published(Packed):
    """One file of the data set as its authors publish it."""

    size_bytes: int
    sha256: str


_TRAIN_IMAGES = _Published(
    "train-images-idx3-ubyte.gz",
    images_bytes(60000),
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    26421880,
    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
)
_TRAIN_LABELS = _Published(
    "train-labels-idx1-ubyte.gz",
    labels_bytes(60000),
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    29515,
    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
)
_TEST_IMAGES = _Published(
    "t10k-images-idx3-ubyte.gz",
    images_bytes(10000),
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    4422102,
    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
)
_TEST_LABELS = _Published(
    "t10k-labels-idx1-ubyte.gz",
    labels_bytes(10000),
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    5148,
    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
)
_SPLITS = {"train": slice(0, 55000), "validation": slice(55000, 60000), "test": slice(0, 10000)}


@dataclass(frozen=True)
class FashionMNIST:
    """Grey pictures of 28 by 28 pixels, with the name of their class as ``caption`` and as the label ``class``.

    The environment variable ``ZOO_FASHION_MNIST`` names another folder or address of the training files; their hashes
    are fixed.
    """

    license = "MIT"

    @property
    def inputs(self) -> Mapping[str, str]:
        """A picture and a caption."""
        return {"picture": "image", "caption": "text"}

    def split(self, name: str) -> Sequence[Sample]:
        """Return the samples of one split; validation is the end of the training set.

        Raises OfflineError if the training pictures are neither on this machine nor can be fetched.
        """
        if name not in _SPLITS:
            raise NotFoundError(f"the data set 'fashion-mnist' has no split {name!r}; it has {', '.join(_SPLITS)}")
        if name == "test":
            images = _TEST_IMAGES.unpacked(_BUNDLED / _TEST_IMAGES.name)
            labels = _TEST_LABELS.unpacked(_BUNDLED / _TEST_LABELS.name)
        else:
            images, labels = _training_file(_TRAIN_IMAGES), _training_file(_TRAIN_LABELS)
        pictures, classes = images_in(images), labels_in(labels)
        rows = range(len(pictures))[_SPLITS[name]]
        part = "t10k" if name == "test" else "train"
        return [_sample(f"{part}-{row:05d}", pictures[row], CLASSES[classes[row]]) for row in rows]


def _sample(key: str, picture: NDArray[np.uint8], clothing: str) -> Sample:
    return Sample(key, {"picture": picture, "caption": clothing}, {"class": clothing})


def _training_file(packed: _Published) -> bytes:
    place = os.environ.get("ZOO_FASHION_MNIST", "")
    if place and "://" not in place:
        return packed.unpacked(Path(place).expanduser() / packed.name)
    if not place:
        try:
            return packed.unpacked(_DEBIAN / packed.name)
        except DataError as error:
            _log.info("fetching %s, as %s", packed.name, error)
    source = f"{place.rstrip('/') or _UPSTREAM}/{packed.name}"
    try:
        return packed.unpacked(fetch(Wanted(packed.name, packed.size_bytes, packed.sha256, (source,))).path)
    except OfflineError as error:
        raise OfflineError(
            f"{error} The training pictures are also in the Debian package dataset-fashion-mnist: install it, or name "
            "a folder that holds the files in ZOO_FASHION_MNIST. The split 'test' needs neither."
        ) from error
