from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from zoo_datasets import five_digits, mnist
from zoo_datasets.five_digits import PHOTOS, FiveDigits

from zoo import DataError, NotFoundError
from zoo.testing import DatasetContract

SPLITS = ("train", "validation", "test")
ROWS = {"train": 7003, "validation": 1001, "test": 1996}
# The pixels of the test split: those of the photos too, so another decoder of JPEG would be noticed here.
SHA256_OF_TEST = "5afd8ffec9cb3fa6444bba47f51c23e50414c869ce7d6f222bc2ea26a30e05fc"
HASH = """
import hashlib
import numpy as np
from zoo_datasets.five_digits import FiveDigits
np.random.seed(int.from_bytes(__import__("os").urandom(4), "big"))
pixels = b"".join(picture.tobytes() for sample in FiveDigits().split("test") for picture in sample.inputs.values())
print(hashlib.sha256(pixels).hexdigest())
"""


class TestFiveDigitsContract(DatasetContract):
    @pytest.fixture
    def dataset(self):
        return FiveDigits()


@pytest.fixture(scope="module")
def samples():
    return {split: FiveDigits().split(split) for split in SPLITS}


def photo_of(name):
    with Image.open(five_digits._BUNDLED / f"{name}.jpg") as opened:
        return np.asarray(opened).astype(int)


def digit_over(photo, shown):
    """Return the inverted pixels of a picture, found by the one place of the photo that explains all others."""
    shown = shown.astype(int)
    windows = np.moveaxis(sliding_window_view(photo, (28, 28), axis=(0, 1)), 2, -1)
    explained = (windows[:, :, 0, 0] == shown[0, 0]).all(-1) | (255 - windows[:, :, 0, 0] == shown[0, 0]).all(-1)
    found = []
    for top, left in np.argwhere(explained):
        kept = (windows[top, left] == shown).all(-1)
        if (kept | (255 - windows[top, left] == shown).all(-1)).all():
            found.append(~kept)
    (digit,) = found
    return digit


def members(split):
    """Return the numbers of the pictures of MNIST in a split, by digit."""
    return five_digits._pictures_by_digit(split, *mnist.first_pictures())


def test_there_are_seven_thousand_rows_to_train_and_three_thousand_to_hold_out(samples):
    assert {split: len(found) for split, found in samples.items()} == ROWS


def test_a_sample_has_five_pictures_in_colour_and_the_digit(samples):
    first = samples["test"][0]
    assert first.key == "test-00000"
    assert tuple(first.inputs) == PHOTOS
    assert {(picture.shape, picture.dtype.name) for picture in first.inputs.values()} == {((28, 28, 3), "uint8")}
    assert set(first.labels) == {"digit"}


def test_every_input_shows_its_own_photo_with_a_digit_of_the_split_inverted(samples):
    pictures, digits = mnist.first_pictures()
    light = pictures > 128
    for split in SPLITS:
        allowed = np.concatenate(members(split))
        for sample in samples[split][:4]:
            shown = []
            for name, picture in sample.inputs.items():
                digit = digit_over(photo_of(name), picture)
                (number,) = np.flatnonzero((light == digit).all((1, 2)))
                assert number in allowed
                assert str(digits[number]) == sample.labels["digit"]
                shown.append(number)
            assert len(set(shown)) == len(PHOTOS)


def test_the_splits_share_no_picture_of_mnist_and_leave_none_out():
    pictures, _ = mnist.first_pictures()
    found = {split: np.concatenate(members(split)) for split in SPLITS}
    assert {split: len(numbers) for split, numbers in found.items()} == ROWS
    content = {split: {pictures[number].tobytes() for number in numbers} for split, numbers in found.items()}
    assert len(set.union(*content.values())) == sum(map(len, content.values())) == 10000


def test_each_picture_serves_once_an_input_and_a_pass():
    groups = members("validation")
    drawn = five_digits._drawn(groups, range(2))
    for photo in drawn:
        assert Counter(photo[:, 0].tolist()) == dict.fromkeys(np.concatenate(groups).tolist(), 2)


def test_every_split_has_the_digits_as_often_as_mnist_has(samples):
    whole = Counter(str(digit) for digit in mnist.first_pictures()[1])
    for split, share in (("train", 0.7), ("validation", 0.1), ("test", 0.2)):
        counts = Counter(sample.labels["digit"] for sample in samples[split])
        assert all(abs(counts[digit] - share * count) <= 1 for digit, count in whole.items())


def test_digits_come_in_mixed_order(samples):
    assert len({sample.labels["digit"] for sample in samples["train"][:50]}) == 10


def test_more_passes_give_other_rows_to_train_and_none_to_hold_out(samples):
    twice = FiveDigits(passes=2)
    assert len(twice.split("test")) == ROWS["test"]
    seen = [sample.inputs["hubble"].tobytes() for sample in twice.split("train")]
    assert len(seen) == len(set(seen)) == 2 * ROWS["train"]
    assert {sample.inputs["hubble"].tobytes() for sample in samples["train"]} <= set(seen)


def test_another_process_gives_the_same_bytes_whatever_the_state_of_numpy():
    found = subprocess.run([sys.executable, "-c", HASH], capture_output=True, text=True, check=True).stdout.strip()
    assert found == SHA256_OF_TEST
    np.random.seed(1)
    here = b"".join(p.tobytes() for sample in FiveDigits().split("test") for p in sample.inputs.values())
    assert hashlib.sha256(here).hexdigest() == SHA256_OF_TEST


def test_the_bundled_pictures_are_the_first_10000_of_mnist():
    pictures, digits = mnist.first_pictures()
    assert np.bincount(digits).tolist() == [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]
    # The first picture of the training set is the first five; its pixels are known to add up to this.
    assert pictures[digits == 5][0].sum(dtype=int) == 27525


def test_a_broken_bundled_file_is_an_error(monkeypatch, tmp_path):
    for path in mnist._BUNDLED.glob("*.gz"):
        (tmp_path / path.name).write_bytes(path.read_bytes()[:-2000])
    monkeypatch.setattr(mnist, "_BUNDLED", tmp_path)
    with pytest.raises(DataError, match=r"first-10k-images-idx3-ubyte.gz cannot be unpacked"):
        FiveDigits().split("train")


def test_notices_lie_beside_the_bundled_files():
    assert "CC BY-SA 3.0" in (mnist._BUNDLED / "LICENSE").read_text(encoding="utf-8")
    notice = (five_digits._BUNDLED / "LICENSE").read_text(encoding="utf-8")
    assert all(f"{photo}.jpg" in notice for photo in PHOTOS)


def test_an_unknown_split_names_the_splits():
    with pytest.raises(NotFoundError, match="'five-digits' has no split 'dev'; it has train, validation, test"):
        FiveDigits().split("dev")
