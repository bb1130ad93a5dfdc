"""A bundle is whole and judged, or there is none; the same model gives the same bytes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import zoo
from zoo.catalogue.targets import resolve
from zoo.discovery.components import make_exporter
from zoo.errors import ParityError, SpecError
from zoo.exporting.bundle import export
from zoo.exporting.judging import Case
from zoo.exporting.reference import reference
from zoo.models.checkpoint import load
from zoo.reporting.page import report
from zoo.runtime.bundle import open_bundle
from zoo.runtime.records import Origin
from zoo.runtime.replay import replay
from zoo.training.train import train

FILES = {"README.md", "manifest.json", "reference.safetensors", "spec.json", "state.safetensors"}
GRAPHS = {f"{verb}_{name}" for verb in ("encode", "decode", "reconstruct") for name in ("left", "right")}


@pytest.fixture
def right(plugins):
    """The exporter that is right."""
    return make_exporter("toy", plugins)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_model_gives_the_same_bytes(exported, checkpoint, right, tmp_path):
    export(checkpoint, right, tmp_path / "again", origin=Origin("toy", "MIT", "CC0-1.0"))
    assert contents(tmp_path / "again") == contents(exported)


def test_a_bundle_holds_what_running_and_judging_need(exported):
    assert set(contents(exported)) == FILES | {f"{graph}.onnx" for graph in GRAPHS}


def test_the_manifest_binds_every_file_but_itself(exported):
    manifest = json.loads((exported / "manifest.json").read_text())
    assert set(manifest["files"]) == set(contents(exported)) - {"manifest.json"}


def test_the_manifest_tells_where_the_weights_come_from(exported, checkpoint):
    manifest = json.loads((exported / "manifest.json").read_text())
    assert manifest["checkpoint_sha256"] == checkpoint.sha256
    assert manifest["origin"] == {"name": "toy", "license": "MIT", "data_license": "CC0-1.0", "revision": ""}
    assert manifest["versions"] == {"modalzoo": zoo.__version__, "modalzoo-toy": "1.0"}


def test_the_manifest_describes_tensors_and_free_axes(exported):
    graph = json.loads((exported / "manifest.json").read_text())["graphs"]["encode_left"]
    values = graph["inputs"]["left.values"]
    assert values == {"dtype": "float32", "axes": ["batch", "left.length", 3], "low": None, "high": None}
    assert graph["axes"] == {"left.length": {"smallest": 1, "largest": 6, "padded": True}}
    assert graph["outputs"]["encode_left.latent"]["axes"] == ["batch", 2]
    assert 0 < graph["parity"]["used"] <= 1


def test_the_card_tells_licences_and_agreement(exported):
    card = (exported / "README.md").read_text()
    assert card.startswith("# toy\n\ntoy-autoencoder over vectors, ")
    assert "Licence of the weights: MIT. Licence of the data: CC0-1.0." in card
    assert "\nA batch has at least one row. `zoo` refuses an empty one" in card
    assert "| decode_left | `latent` float32 (batch, 2) | `decode_left.total` float32 (batch, 3) |" in card


def test_a_bundle_names_no_path_of_this_machine(exported):
    for name, content in contents(exported).items():
        assert str(Path(__file__).parent.parent).encode() not in content, name
        assert str(exported).encode() not in content, name


def test_the_reference_holds_inputs_float64_answers_and_tolerances(exported):
    reference = load_file(exported / "reference.safetensors")
    assert reference["encode_left/0/inputs/left.values"].dtype == np.float32
    assert reference["encode_left/0/expected/encode_left.latent"].dtype == np.float64
    assert reference["encode_left/0/allowed/encode_left.latent"].shape == (1,)
    assert {key.split("/")[0] for key in reference} == GRAPHS


def a_case(name, numbers):
    array = np.zeros((1, numbers))
    return Case(name, {"x": array}, {"y": array[:, :0]}, {"y": array[:, 0]})


def kept_of(*cases):
    return [array.size for key, array in reference("encode", cases).items() if "/inputs/" in key]


def test_the_reference_keeps_every_value_and_then_what_is_small():
    mebibyte = 1 << 17  # in numbers of eight bytes
    cases = (
        a_case("zeros", 7),
        a_case("one row", 3),
        a_case("every value of x", mebibyte // 8),
        a_case("x", mebibyte // 4),
    )
    assert kept_of(*cases) == [mebibyte // 8, 3, 7]


def test_the_reference_of_large_cases_is_the_smallest_of_them():
    assert kept_of(a_case("one row", 1 << 20), a_case("zeros", 1 << 19)) == [1 << 19]


def test_what_the_modalities_learnt_lies_in_the_bundle(exported, checkpoint):
    state = load_file(exported / "state.safetensors")
    assert np.array_equal(state["modality:left:scale"], checkpoint.model.modalities["left"].scale)


def test_one_graph_alone_may_be_exported(checkpoint, right, tmp_path):
    export(checkpoint, right, tmp_path / "one", origin=Origin("toy"), graphs=["decode_right"])
    assert set(contents(tmp_path / "one")) == FILES | {"decode_right.onnx"}


def test_an_unknown_graph_is_refused_with_those_there_are(checkpoint, right, tmp_path):
    with pytest.raises(SpecError, match=r"no graph 'decode'; this model has encode_right, decode_right"):
        export(checkpoint, right, tmp_path / "none", origin=Origin("toy"), graphs=["decode"])
    assert not list(tmp_path.iterdir())


def test_every_graph_is_told_when_it_was_judged(checkpoint, right, tmp_path):
    verdicts = []
    export(checkpoint, right, tmp_path / "bundle", origin=Origin("toy"), observe=verdicts.append)
    assert {verdict.graph for verdict in verdicts} == GRAPHS
    assert all(verdict.worst.used <= 1 for verdict in verdicts)


def test_a_miss_leaves_no_bundle(checkpoint, plugins, tmp_path):
    with pytest.raises(ParityError, match=r"^encode_right, case .*, row \d+: differs from float64 by .*, allowed is "):
        export(checkpoint, make_exporter("toy-wrong", plugins), tmp_path / "bundle", origin=Origin("toy"))
    assert not list(tmp_path.iterdir())


def test_a_miss_leaves_an_older_bundle_as_it_was(bundle, checkpoint, plugins):
    before = contents(bundle)
    with pytest.raises(ParityError):
        export(checkpoint, make_exporter("toy-wrong", plugins), bundle, origin=Origin("toy"))
    assert contents(bundle) == before
    assert list(bundle.parent.iterdir()) == [bundle]


def test_the_command_exits_with_4_on_a_miss(zoo, trained, tmp_path):
    result = zoo("export", trained, "--to", "toy-wrong", "--out", tmp_path / "bundle")
    assert result.exit_code == 4
    assert "look for the operation that the exporter translates otherwise" in result.error
    assert not (tmp_path / "bundle").exists()


def test_a_new_export_takes_the_place_of_an_older_bundle_as_a_whole(bundle, checkpoint, right):
    assert (bundle / "decode_left.onnx").exists()
    export(checkpoint, right, bundle, origin=Origin("newer"), graphs=["encode_left"])
    assert set(contents(bundle)) == FILES | {"encode_left.onnx"}


def test_places_whose_names_are_no_utf_8_are_trained_in_and_exported_to(make_recipe, plugins, right, site, tmp_path):
    run, bundle = (tmp_path / os.fsdecode(name) for name in (b"run\xff", b"bundle\xff"))
    train(make_recipe(steps=1), run, plugins=plugins)
    train(make_recipe(steps=2), run, resume=True, accept_changes=True, plugins=plugins)
    report(run, plugins=plugins)
    target = resolve(str(run), plugins)
    export(load(target.weights, plugins=plugins), right, bundle, origin=Origin(target.name))
    opened = open_bundle(bundle)
    replay(opened)
    assert opened.manifest.origin.name == "run\\udcff"
