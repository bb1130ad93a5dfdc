"""The graphs of a bundle share the checkpoint as their file of weights; other weights of the same spec drop in."""

import json

import onnx
import pytest
import torch
from safetensors import safe_open
from zoo_onnx.exporter import OnnxExporter
from zoo_onnx.weights import places

from zoo import ZooError
from zoo.errors import ParityError, UsageError
from zoo.exporting.bundle import export, renew
from zoo.models.checkpoint import load, save_checkpoint
from zoo.runtime.bundle import open_bundle
from zoo.runtime.records import Origin
from zoo.runtime.replay import replay

ORIGIN = Origin("toy", "MIT", "CC0-1.0")
GRAPHS = ("encode_left", "decode_left")


@pytest.fixture(scope="module")
def shared(checkpoint, tmp_path_factory):
    """A bundle whose graphs share their weights; read it only."""
    folder = tmp_path_factory.mktemp("shared") / "bundle"
    export(checkpoint, OnnxExporter(), folder, origin=ORIGIN, graphs=GRAPHS)
    return folder


@pytest.fixture
def tuned(trained, plugins, tmp_path):
    """The path of a checkpoint of the same spec with other weights, and a longer header."""
    other = load(trained, plugins=plugins)
    with torch.no_grad():
        for weight in other.model.objective.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    recipe = other.recipe.with_options(("training.learning_rate=0.0123456789",))
    save_checkpoint(other.model, recipe, tmp_path / "tuned.safetensors")
    return tmp_path / "tuned.safetensors"


def test_the_file_of_weights_is_the_checkpoint_to_the_byte(shared, trained):
    assert (shared / "model.safetensors").read_bytes() == trained.read_bytes()


def test_no_graph_holds_a_weight_of_its_own(shared):
    with safe_open(shared / "model.safetensors", framework="np") as file:
        known = set(file.keys())
    for path in shared.glob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        assert linked(model), path.name
        assert linked(model) <= known
        assert all(len(tensor.raw_data) < 100 for tensor in model.graph.initializer), path.name


def test_graphs_point_into_their_own_folder_alone(shared):
    for path in shared.glob("*.onnx"):
        for tensor in onnx.load(path, load_external_data=False).graph.initializer:
            assert {entry.value for entry in tensor.external_data if entry.key == "location"} <= {"model.safetensors"}


def test_other_weights_drop_in_and_the_bundle_answers_by_them(shared, tuned, plugins, tmp_path):
    bundle = _copy(shared, tmp_path)
    manifest = renew(load(tuned, plugins=plugins), OnnxExporter(), open_bundle(bundle), origin=Origin("tuned"))
    assert (bundle / "model.safetensors").read_bytes() == tuned.read_bytes()
    assert set(manifest.graphs) == set(open_bundle(shared).graphs)
    assert manifest.checkpoint_sha256 != open_bundle(shared).manifest.checkpoint_sha256
    report = replay(open_bundle(bundle))
    assert all(worst.used <= 1 for _, worst in report.values())


def test_renewed_weights_are_those_of_a_new_export(shared, tuned, plugins, tmp_path):
    renewed, fresh = _copy(shared, tmp_path), tmp_path / "fresh"
    other = load(tuned, plugins=plugins)
    renew(other, OnnxExporter(), open_bundle(renewed), origin=ORIGIN)
    export(other, OnnxExporter(), fresh, origin=ORIGIN, graphs=GRAPHS)
    assert {path.name: path.read_bytes() for path in renewed.iterdir()} == {
        path.name: path.read_bytes() for path in fresh.iterdir()
    }


def test_a_miss_leaves_the_bundle_as_it_was(shared, tuned, plugins, tmp_path, monkeypatch):
    bundle = _copy(shared, tmp_path)
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    # Graphs that are not pointed at the new weights still read where the old header ended.
    monkeypatch.setattr(OnnxExporter, "link", lambda self, path, weights, names: None)
    with pytest.raises(ParityError):
        renew(load(tuned, plugins=plugins), OnnxExporter(), open_bundle(bundle), origin=ORIGIN)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_weights_of_another_spec_are_refused(shared, trained, plugins, make_recipe, tmp_path):
    from zoo.training.train import train

    other = train(make_recipe(objective="toy-alignment"), tmp_path / "run", plugins=plugins)
    with pytest.raises(UsageError, match="is of another spec than these weights; export the model without `weights_"):
        renew(load(other, plugins=plugins), OnnxExporter(), open_bundle(_copy(shared, tmp_path)), origin=ORIGIN)


def test_single_files_hold_their_weights_and_take_no_others(checkpoint, tmp_path):
    export(checkpoint, OnnxExporter(), tmp_path / "bundle", origin=ORIGIN, graphs=["decode_left"], single_file=True)
    assert not (tmp_path / "bundle" / "model.safetensors").exists()
    assert not linked(onnx.load(tmp_path / "bundle" / "decode_left.onnx", load_external_data=False))
    with pytest.raises(UsageError, match=r"hold their own weights, not in model\.safetensors beside them"):
        renew(checkpoint, OnnxExporter(), open_bundle(tmp_path / "bundle"), origin=ORIGIN)


def test_a_tensor_of_another_shape_is_refused(shared, tmp_path):
    from safetensors.torch import load_file, save_file

    bundle = _copy(shared, tmp_path)
    tensors = load_file(bundle / "model.safetensors")
    name = max((key for key in tensors if key.endswith("weight")), key=lambda key: tensors[key].numel())
    save_file({**tensors, name: tensors[name].flatten()}, bundle / "model.safetensors")
    path = next(path for path in bundle.glob("*.onnx") if name in linked(onnx.load(path, load_external_data=False)))
    with pytest.raises(ZooError, match=r"the graph was written for F32 \(.*; export the model again instead of its"):
        OnnxExporter().link(path, bundle / "model.safetensors", {})


def test_equal_tensors_keep_their_own_places(shared):
    """By name, never by content: two biases of zeros are two tensors."""
    found = places(shared / "model.safetensors")
    assert len({place.offset for place in found.values()}) == len(found)


def test_a_graph_tells_where_it_comes_from(shared, checkpoint):
    model = onnx.load(shared / "encode_left.onnx", load_external_data=False)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["modalzoo.graph"] == "encode_left"
    assert facts["modalzoo.license"] == "MIT"
    assert facts["modalzoo.checkpoint_sha256"] == checkpoint.sha256
    assert json.loads(facts["modalzoo.spec"])["objective"] == "toy-autoencoder"
    assert json.loads(facts["modalzoo.parity"])["used"] <= 1
    assert json.loads(facts["modalzoo.versions"])["modalzoo"]
    assert facts["modalzoo.batch"] == "at least one row"


def test_the_command_renews_weights(zoo, shared, tuned, tmp_path, monkeypatch):
    monkeypatch.delenv("ZOO_PLUGINS")  # the exporter of ONNX is none of the toys
    bundle = _copy(shared, tmp_path)
    result = zoo("export", tuned, "--weights-only", "--out", bundle)
    assert result.exit_code == 0, result.error
    assert zoo("parity", bundle).exit_code == 0


def test_the_command_says_what_goes_with_weights_alone(zoo, shared, tuned):
    result = zoo("export", tuned, "--weights-only", "--graph", "encode_left", "--out", shared)
    assert result.exit_code == 2
    assert "it can be combined only with --out" in result.error


def linked(model):
    """The names of the initialisers that are in another file."""
    return {t.name for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL}


def _copy(folder, tmp_path):
    import shutil

    return shutil.copytree(folder, tmp_path / "copy")
