"""Five pictures of one handwritten digit, each over a different photo: a data set like PolyMNIST.

It is not PolyMNIST, and numbers measured on it cannot be compared directly with published ones. As there, a row's
inputs are independent pictures of one digit, each picture of MNIST is used once per input, and its pixels above 128
invert a random 28 by 28 crop of the input's photo. What differs: the photos, since no package has PolyMNIST's, and
their scale; 10,000 pictures of MNIST instead of 70,000; another split; sha256 in place of a random generator.

Source: Sutter, Daunhawer & Vogt 2021, Generalized Multimodal ELBO, arXiv 2105.02470.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Interval
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from zoo import NotFoundError, Sample
from zoo_datasets.mnist import first_pictures
from zoo_datasets.packed import SIDE_PIXELS

PHOTOS = ("astronaut", "cat", "coffee", "hubble", "rocket")
_BUNDLED = Path(__file__).with_name("data") / "photos"
_SPLITS = ("train", "validation", "test")
_TENTHS = {"test": slice(0, 2), "validation": slice(2, 3), "train": slice(3, 10)}
_LIGHTEST_GROUND = 128
_MOST_PASSES = 10
Pixels = NDArray[np.uint8]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class FiveDigits:
    """Five pictures of one digit, 28 by 28 pixels in colour, in inputs named after the photos behind them.

    The label ``digit`` is the digit. The splits share no picture of MNIST: of each digit, 70 % are for training, 10 %
    for validation and 20 % for tests. In training, a picture is used ``passes`` times per input, each time with other
    partners and over another part of the photo.
    """

    passes: Annotated[int, Interval(ge=1, le=_MOST_PASSES)] = 1

    license = "CC-BY-SA-3.0, unverified (MNIST); public domain and CC0-1.0 (photos)"

    @property
    def inputs(self) -> Mapping[str, str]:
        """A picture over each photo."""
        return dict.fromkeys(PHOTOS, "image")

    def split(self, name: str) -> Sequence[Sample]:
        """Return the samples of one split, the digits in mixed order."""
        if name not in _SPLITS:
            raise NotFoundError(f"the data set 'five-digits' has no split {name!r}; it has {', '.join(_SPLITS)}")
        pictures, digits = first_pictures()
        turns = range(self.passes if name == "train" else 1)
        drawn = _drawn(_pictures_by_digit(name, pictures, digits), turns)
        shown = [_over(photo, pictures, rows) for photo, rows in zip(PHOTOS, drawn, strict=True)]
        return [
            Sample(
                f"{name}-{row:05d}", dict(zip(PHOTOS, beside, strict=True)), {"digit": str(digits[drawn[0, row, 0]])}
            )
            for row, beside in enumerate(zip(*shown, strict=True))
        ]


def _pictures_by_digit(split: str, pictures: Pixels, digits: Pixels) -> list[Numbers]:
    """Return the pictures of each digit in a split: those with the lowest sha256 test, those with the highest train."""
    found = []
    for digit in range(10):
        numbers = np.flatnonzero(digits == digit)
        by_hash = sorted(numbers, key=lambda number: hashlib.sha256(pictures[number].tobytes()).digest())
        tenths = _TENTHS[split]
        found.append(np.array(by_hash[len(by_hash) * tenths.start // 10 : len(by_hash) * tenths.stop // 10]))
    return found


def _drawn(pictures_by_digit: Sequence[Numbers], turns: Iterable[int]) -> Numbers:
    """Return (photos, rows, 4): the number of a picture of the row's digit, and three numbers from its hash.

    The first of them orders the pictures of a digit, photo by photo, so the pictures of a row are random partners.
    """
    groups = [(turn, pictures) for turn in turns for pictures in pictures_by_digit]
    drawn = np.stack([np.concatenate([_shuffled(photo, *group) for group in groups]) for photo in PHOTOS])
    return drawn[:, np.argsort(drawn[0, :, 1], kind="stable")]


def _shuffled(photo: str, turn: int, pictures: Numbers) -> Numbers:
    digests = b"".join(hashlib.sha256(f"{photo}/{turn}/{picture}".encode()).digest()[:12] for picture in pictures)
    hashed = np.frombuffer(digests, ">u4").astype(np.int64).reshape(-1, 3)
    return np.column_stack([pictures, hashed])[np.argsort(hashed[:, 0], kind="stable")]


def _over(photo: str, pictures: Pixels, drawn: Numbers) -> Pixels:
    """Return crops of a photo, (rows, 28, 28, 3), with colours inverted in the light pixels of a picture."""
    with Image.open(_BUNDLED / f"{photo}.jpg") as opened:
        crops = sliding_window_view(np.asarray(opened), (SIDE_PIXELS, SIDE_PIXELS), axis=(0, 1))
    tops, lefts = (drawn[:, 2 + axis] * crops.shape[axis] >> 32 for axis in range(2))
    shown = np.ascontiguousarray(np.moveaxis(crops[tops, lefts], 1, -1))
    digit = pictures[drawn[:, 0]] > _LIGHTEST_GROUND
    shown[digit] = 255 - shown[digit]
    return shown
