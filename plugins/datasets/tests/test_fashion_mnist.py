from __future__ import annotations

import gzip
import hashlib
import http.server
import struct
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from zoo_datasets import fashion_mnist
from zoo_datasets.fashion_mnist import CLASSES, FashionMNIST

from zoo import DataError, NotFoundError, OfflineError, ZooError
from zoo.testing import DatasetContract

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
needs_training_files = pytest.mark.skipif(not DEBIAN.is_dir(), reason="the package dataset-fashion-mnist is not there")
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")


@needs_training_files
class TestFashionMNISTContract(DatasetContract):
    @pytest.fixture
    def dataset(self):
        return FashionMNIST()


@pytest.fixture
def no_debian_package(monkeypatch, tmp_path):
    monkeypatch.setattr(fashion_mnist, "_DEBIAN", tmp_path / "not-installed")
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))


@pytest.fixture
def mirror(monkeypatch, tmp_path, no_debian_package):
    """Serve a folder on the loopback and name it as the place of the training files."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("ZOO_FASHION_MNIST", f"http://127.0.0.1:{server.server_port}/")
        yield folder
        server.shutdown()


def as_published(name):
    """Return a gz as its authors made it: Debian left out the name and the date, and kept the rest."""
    packed = (DEBIAN / f"{name}.gz").read_bytes()
    return b"\x1f\x8b\x08\x08" + struct.pack("<L", 1504176606) + b"\x00\x03" + name.encode() + b"\x00" + packed[10:]


def test_the_bundled_files_hold_the_official_test_set():
    hashes = {
        "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    }
    for name, expected in hashes.items():
        with gzip.open(fashion_mnist._BUNDLED / name) as stream:
            assert hashlib.sha256(stream.read()).hexdigest() == expected


def test_the_notice_lies_beside_the_bundled_files():
    assert "Copyright © 2017 Zalando SE" in (fashion_mnist._BUNDLED / "LICENSE").read_text(encoding="utf-8")


def test_the_test_split_needs_no_other_file(no_debian_package, monkeypatch):
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    samples = FashionMNIST().split("test")
    assert Counter(sample.labels["class"] for sample in samples) == dict.fromkeys(CLASSES, 1000)
    first = samples[0]
    assert first.key == "t10k-00000"
    assert first.inputs["caption"] == "ankle boot"
    assert first.inputs["picture"].shape == (28, 28)
    assert first.inputs["picture"].dtype == np.uint8


@needs_training_files
def test_train_and_validation_are_the_start_and_the_end_of_the_training_set():
    train, validation = FashionMNIST().split("train"), FashionMNIST().split("validation")
    assert (len(train), train[0].key, train[-1].key) == (55000, "train-00000", "train-54999")
    assert (len(validation), validation[0].key, validation[-1].key) == (5000, "train-55000", "train-59999")
    both = Counter(sample.labels["class"] for sample in (*train, *validation))
    assert both == dict.fromkeys(CLASSES, 6000)


@needs_training_files
def test_training_files_are_fetched_and_give_the_same_pictures(mirror, monkeypatch):
    for name in NAMES:
        (mirror / f"{name}.gz").write_bytes(as_published(name))
    fetched = FashionMNIST().split("validation")
    monkeypatch.setenv("ZOO_FASHION_MNIST", str(DEBIAN))
    read = FashionMNIST().split("validation")
    assert [sample.labels for sample in fetched] == [sample.labels for sample in read]
    assert np.array_equal(fetched[-1].inputs["picture"], read[-1].inputs["picture"])


@needs_training_files
def test_fetched_files_are_kept(mirror, monkeypatch):
    for name in NAMES:
        (mirror / f"{name}.gz").write_bytes(as_published(name))
    FashionMNIST().split("validation")
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    assert len(FashionMNIST().split("validation")) == 5000


def test_another_file_on_the_mirror_is_refused(mirror):
    (mirror / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"something else", mtime=0))
    with pytest.raises(ZooError, match=r"expected 26421880 bytes with sha256 3aede38d") as caught:
        FashionMNIST().split("train")
    assert caught.value.exit_code == 4


def test_without_network_and_package_the_error_says_what_to_install(no_debian_package, monkeypatch):
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    advice = (
        "Debian package dataset-fashion-mnist: install it, or name a folder that holds the files in ZOO_FASHION_MNIST"
    )
    with pytest.raises(OfflineError, match=advice) as caught:
        FashionMNIST().split("train")
    assert "The split 'test' needs neither." in str(caught.value)


def test_a_wrong_file_in_the_folder_of_the_package_is_passed_over(no_debian_package, monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    (tmp_path / "not-installed").mkdir()
    (tmp_path / "not-installed" / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"something else", mtime=0))
    with pytest.raises(OfflineError):
        FashionMNIST().split("train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"too short", mtime=0), "once unpacked, came 9 bytes with"),
        (gzip.compress(bytes(48_000_000), 1, mtime=0), "once unpacked, came more; install or fetch it again"),
        (gzip.compress(b"cut off", mtime=0)[:-10], "cannot be unpacked: "),
        (b"no gzip at all", "cannot be unpacked: Not a gzipped file"),
    ],
    ids=["short", "long", "cut", "no gzip"],
)
def test_a_wrong_file_in_a_named_folder_is_an_error(content, message, monkeypatch, tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    monkeypatch.setenv("ZOO_FASHION_MNIST", str(tmp_path))
    with pytest.raises(DataError, match=message):
        FashionMNIST().split("train")


def test_an_unknown_split_names_the_splits():
    with pytest.raises(NotFoundError, match="'fashion-mnist' has no split 'dev'; it has train, validation, test"):
        FashionMNIST().split("dev")
