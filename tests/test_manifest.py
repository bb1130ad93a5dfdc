"""The manifest of a bundle is one record, read and written in one place, and nothing of it is believed unread."""

import dataclasses
import json

import pytest

from zoo.discovery.components import make_exporter
from zoo.errors import IntegrityError
from zoo.exporting.bundle import export
from zoo.protocols import Axis, TensorSpec
from zoo.runtime.bundle import open_bundle
from zoo.runtime.manifest import Manifest
from zoo.runtime.records import GraphRecord, JudgedFile, Origin, Parity, Worth

PARITY = Parity(3, 16, "", "one row", "out.numbers", 0.25, 1e-7)
WHOLE = Manifest(
    Origin("all", "MIT", "CC0-1.0", "1"),
    {
        "translate_a_to_b_to_c.raw": GraphRecord(
            {"a_to_b.utf8": TensorSpec("uint8", ("batch", "a_to_b.bytes"), 0, 255, normal_form="NFKC")},
            {"out.numbers": TensorSpec("float32", ("batch", 3), logarithm=True)},
            {"a_to_b.bytes": Axis(1, 12, padded=True)},
            {"fp32": JudgedFile("a.onnx", PARITY), "int8": JudgedFile("a.int8.onnx", PARITY)},
            "translate",
            "a_to_b",
            "c",
            raw=True,
        )
    },
    "0" * 64,
    "onnx",
    versions={"modalzoo": "0.1.0"},
    precisions={"fp32": Worth(20, 0.5, 0.25, {"recall": 1.0}), "int8": Worth(10, 0.4, 0.25, {"recall": 0.5})},
    recommended="fp32",
    lost=("int8 does not keep the metrics of fp32",),
    layout="web",
)


@pytest.fixture
def whole(tmp_path):
    """A folder with a manifest that says all that one may say."""
    for name in ("a.onnx", "a.int8.onnx"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_manifest_is_read_as_it_was_written(whole):
    written = WHOLE.write(whole)
    assert Manifest.read(whole) == written
    assert written == dataclasses.replace(WHOLE, files=written.files, sha256=written.sha256)
    assert set(written.files) == {"a.onnx", "a.int8.onnx"}
    assert json.loads((whole / "manifest.json").read_text()) == written.written()


def test_what_an_export_returns_is_what_the_bundle_says(checkpoint, plugins, tmp_path):
    made = export(checkpoint, make_exporter("toy", plugins), tmp_path / "bundle", origin=Origin("toy"))
    assert made == open_bundle(tmp_path / "bundle").manifest
    assert json.loads((tmp_path / "bundle/manifest.json").read_text())["schema"] == 2


def test_a_manifest_says_what_each_graph_does(exported):
    graphs = Manifest.read(exported).graphs
    encode, reconstruct = graphs["encode_left"], graphs["reconstruct_left"]
    assert (encode.kind, encode.source, encode.target, encode.raw) == ("encode", "left", "", False)
    assert (reconstruct.kind, reconstruct.source, reconstruct.target) == ("reconstruct", "left", "left")


def test_a_manifest_cannot_be_changed(exported):
    with pytest.raises(dataclasses.FrozenInstanceError):
        Manifest.read(exported).exporter = "another"


def in_graph(key, value):
    return lambda written: written["graphs"]["translate_a_to_b_to_c.raw"].update({key: value})


def in_all(key, value):
    return lambda written: written.update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (in_graph("kind", 3), r"'kind' takes a text, got 3"),
        (in_graph("raw", "yes"), r"'raw' takes true or false, got 'yes'"),
        (
            lambda written: written["graphs"].popitem()[1] and written["graphs"].update(g={"inputs": {}}),
            "'axes' is mis",
        ),
        (lambda written: [graph.pop("source") for graph in written["graphs"].values()], "the key 'source' is missing"),
        (in_graph("parity", {"cases": 1, "used": 0.1, "case": 5}), r"parity: 'case' takes a text, got 5"),
        (in_all("origin", "me"), r"'origin' takes a table, got 'me'"),
        (in_all("origin", {"license": 3}), r"origin: 'license' takes a text, got 3"),
        (in_all("versions", {"torch": 2}), r"versions: 'torch' takes a text, got 2"),
        (in_all("lost", [1]), r"'lost' takes a list of texts, got \[1\]"),
        (
            in_all("precisions", {"int8": {"metrics": {"recall": "high"}}}),
            r"precisions.int8.metrics: 'recall' takes a n",
        ),
    ],
)
def test_a_value_of_another_kind_is_refused_with_its_place(change, message, whole, rewrite):
    WHOLE.write(whole)
    rewrite(whole, change)
    with pytest.raises(IntegrityError, match=message):
        Manifest.read(whole)


@pytest.mark.parametrize("key", ["kind", "source", "target"])
@pytest.mark.parametrize("name", ["../a", "a b", "<b>"])
def test_what_a_graph_does_is_told_by_names(name, key, whole, rewrite):
    WHOLE.write(whole)
    rewrite(whole, in_graph(key, name))
    with pytest.raises(
        IntegrityError, match=r"names a graph or tensor '.*', which is not a valid name; do not use this bundle"
    ):
        Manifest.read(whole)


@pytest.mark.parametrize(
    ("seal", "message"), [({}, "changed after the export: expected content with sha256 None"), ({"sha256": 3}, "got 3")]
)
def test_a_manifest_without_its_seal_is_refused(seal, message, whole):
    written = WHOLE.write(whole).written()
    del written["sha256"]
    (whole / "manifest.json").write_text(json.dumps({**written, **seal}))
    with pytest.raises(IntegrityError, match=message):
        Manifest.read(whole)
