"""A checkpoint is the same bytes for the same content, and shows every bit that flipped."""

import json
import random
import re
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from zoo_toy.modality import VectorsModality

from zoo.discovery.plugins import Plugins
from zoo.errors import IntegrityError, NotFoundError, PluginError, SpecError, UnknownNameError, ZooError
from zoo.models.build import build
from zoo.models.checkpoint import fault_of_state, load, load_weights, modality_arrays, save_checkpoint, weights
from zoo.testing import ModalityContract

FLIPS = 40


@pytest.fixture
def path(checkpoint, tmp_path):
    """A copy of the trained checkpoint, saved anew."""
    save_checkpoint(checkpoint.model, checkpoint.recipe, tmp_path / "copy.safetensors")
    return tmp_path / "copy.safetensors"


def header(content):
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size])


def with_metadata(path, change):
    """Write the checkpoint again with other metadata."""
    metadata = json.loads(header(path.read_bytes())["__metadata__"]["zoo.spec"])
    save_file(load_file(path), path, {"zoo.spec": json.dumps(change(metadata))})


def test_the_same_content_gives_the_same_bytes(trained, path):
    assert path.read_bytes() == trained.read_bytes()


def test_the_metadata_has_one_key_and_the_inputs_in_the_order_of_the_spec(path):
    metadata = header(path.read_bytes())["__metadata__"]
    assert list(metadata) == ["zoo.spec"]
    written = json.loads(metadata["zoo.spec"])
    assert list(written) == sorted(written)
    assert [entry["name"] for entry in written["recipe"]["spec"]["inputs"]] == ["right", "left"]


def test_a_checkpoint_alone_rebuilds_the_model(checkpoint, path, plugins):
    again = load(path, plugins=plugins)
    assert again.recipe == checkpoint.recipe
    assert again.sha256 == checkpoint.sha256
    for name, tensor in checkpoint.model.objective.state_dict().items():
        assert torch.equal(again.model.objective.state_dict()[name], tensor)


def test_what_a_modality_learnt_comes_back(checkpoint, path, plugins):
    left = load(path, plugins=plugins).model.modalities["left"]
    assert not np.array_equal(left.scale, np.ones(3))
    assert np.array_equal(left.scale, checkpoint.model.modalities["left"].scale)
    assert set(modality_arrays(checkpoint.model.modalities)) == {"modality:left:scale", "modality:right:scale"}


@pytest.mark.parametrize("seed", range(FLIPS))
def test_a_flipped_bit_is_never_loaded(seed, path, plugins):
    content = bytearray(path.read_bytes())
    generator = random.Random(seed)
    # Half of them in the weights, half in the header, which is the longer part of so small a file.
    start = 8 + struct.unpack("<Q", content[:8])[0]
    place = generator.randrange(start, len(content)) if seed % 2 else generator.randrange(start)
    content[place] ^= 1 << generator.randrange(8)
    path.write_bytes(content)
    with pytest.raises(ZooError) as caught:
        load(path, plugins=plugins)
    assert caught.value.exit_code == 4 or "schema" in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_that_was_cut_is_refused(share, path, plugins):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(IntegrityError, match=r"is not a valid checkpoint: .*; fetch or train it again"):
        load(path, plugins=plugins)


def test_a_changed_weight_is_refused_with_both_hashes(path, plugins):
    tensors = load_file(path)
    tensors["heads.left.linear.bias"] += 1e-6
    save_file(tensors, path, header(path.read_bytes())["__metadata__"])
    with pytest.raises(IntegrityError, match=r"was damaged after it was saved: expected content with sha256 .*, found"):
        load(path, plugins=plugins)


def test_a_safetensors_file_of_another_program_is_no_checkpoint(path, plugins):
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(
        IntegrityError, match=r"is a safetensors file without a spec; it is not a checkpoint of the zoo"
    ):
        load(path, plugins=plugins)


def test_a_checkpoint_that_is_not_there_is_named(tmp_path, plugins):
    with pytest.raises(NotFoundError, match=r"no checkpoint .*absent; expected a .safetensors file that `zoo train`"):
        load(tmp_path / "absent", plugins=plugins)


@pytest.mark.parametrize("key", ["recipe", "sha256"])
def test_metadata_without_a_key_is_refused(key, path, plugins):
    with_metadata(path, lambda metadata: {name: value for name, value in metadata.items() if name != key})
    with pytest.raises(IntegrityError, match=r"it lacks its recipe or sha256; fetch or train it again"):
        load(path, plugins=plugins)


@pytest.mark.parametrize("metadata", ["[1]", "3", "{", "[" * 100_000])
def test_metadata_that_is_no_table_is_refused(metadata, path, plugins):
    save_file(load_file(path), path, {"zoo.spec": metadata})
    with pytest.raises(ZooError, match=r"expected a table, got|is not a valid checkpoint"):
        load(path, plugins=plugins)


def test_a_newer_schema_is_refused_with_what_to_upgrade(path, plugins):
    with_metadata(path, lambda metadata: {**metadata, "schema": 2})
    with pytest.raises(SpecError, match=r"schema 2 is newer than this modalzoo reads \(up to 1\); upgrade modalzoo"):
        load(path, plugins=plugins)


def test_weights_of_another_spec_are_refused_with_the_first_difference(checkpoint, plugins, tmp_path):
    spec = replace(checkpoint.recipe.spec, latent_dim=3)
    other = build(spec, checkpoint.model.modalities, plugins=plugins)
    expected = (
        r"run1 holds the weights of another spec: expected 'heads.right.linear.weight' as float32 \(3, 5\), "
        r"it has float32 \(2, 5\); use the recipe that it was trained by"
    )
    with pytest.raises(IntegrityError, match=expected):
        load_weights(other.objective, weights(checkpoint.model.objective), tmp_path / "run1")


def test_a_weight_that_is_missing_or_left_over_is_named(tmp_path):
    layer = nn.Linear(2, 2)
    with pytest.raises(IntegrityError, match=r"expected 'bias' as float32 \(2,\), it has missing"):
        load_weights(layer, {"weight": torch.zeros(2, 2)}, tmp_path)
    with pytest.raises(IntegrityError, match=r"expected 'extra' as missing, it has float32 \(1,\)"):
        load_weights(layer, {**weights(layer), "extra": torch.zeros(1)}, tmp_path)


def test_tied_weights_are_stored_once_and_stay_tied(make_recipe, plugins, tmp_path):
    recipe = make_recipe({"name": "toy-alignment", "shared": True})
    modalities = {name: plugins.load("modality", "vectors")() for name in ("left", "right")}
    model = build(recipe.spec, modalities, plugins=plugins)
    save_checkpoint(model, recipe, tmp_path / "tied.safetensors")
    assert "encoders.left.linear.weight" not in load_file(tmp_path / "tied.safetensors")
    again = load(tmp_path / "tied.safetensors", plugins=plugins).model.objective
    assert again.encoders["left"] is again.encoders["right"]
    assert torch.equal(again.encoders["left"].linear.weight, model.objective.encoders["left"].linear.weight)


def test_views_of_one_storage_are_not_taken_for_tied():
    module = nn.Module()
    whole = torch.arange(6.0)
    module.register_buffer("first", whole[:3])
    module.register_buffer("second", whole[3:])
    module.register_buffer("shorter", whole[:2])
    assert set(weights(module)) == {"first", "second", "shorter"}


def test_a_model_whose_plugin_is_missing_names_what_it_needs(path):
    with pytest.raises(UnknownNameError, match=r"no modality 'vectors'; available: none"):
        load(path, plugins=Plugins(()))


class Listed(list):
    pass


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (np.array(["a", "b"]), "an array of <U1"),
        (np.array(["a", None], dtype=object), "an array of object"),
        (np.zeros(2, ">f4"), "an array of >f4"),
        (np.zeros(2, "M8[s]"), r"an array of datetime64\[s\]"),
        (np.float64(3), "a float64"),
        (Listed([1, 2]), "a Listed"),
        ("text", "a str"),
    ],
)
def test_a_state_that_no_file_can_hold_is_told_by_key_and_dtype(array, kind):
    expected = (
        f"its state 'words' is {kind}; a state is NumPy arrays of numbers or booleans, and a text its UTF-8 bytes"
    )
    assert re.match(expected, fault_of_state({"sound": np.zeros(2), "words": array}))


def test_a_state_whose_key_is_no_text_is_told():
    assert fault_of_state({3: np.zeros(2)}) == "its state has the key 3; a key is a text"


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 3)).T, np.zeros(3)[::-1], np.zeros(0), np.array(3.0), np.zeros(2, bool), np.zeros(2, np.uint16)],
)
def test_any_other_array_is_held(array):
    assert fault_of_state({"numbers": array}) == ""


class Sharing(nn.Module):
    """Two buffers that overlap in memory."""

    def __init__(self):
        super().__init__()
        whole = torch.arange(6.0)
        self.register_buffer("head", whole[:4])
        self.register_buffer("tail", whole[2:])


def test_buffers_that_overlap_in_memory_are_held_each_as_it_is(tmp_path):
    found = weights(Sharing())
    save_file(found, tmp_path / "file.safetensors")
    assert load_file(tmp_path / "file.safetensors")["tail"].tolist() == [2, 3, 4, 5]


class Counting(nn.Module):
    def get_extra_state(self):
        return {"count": 3}


def test_a_state_of_a_module_that_is_no_tensor_is_named():
    with pytest.raises(
        PluginError, match=r"the state '_extra_state' of the model is of the type dict, expected a tens"
    ):
        weights(Counting())


def test_the_contract_refuses_a_state_that_no_checkpoint_can_hold():
    class Words(VectorsModality):
        def state(self):
            return {"words": np.array(["a", "b"])}

    with pytest.raises(
        AssertionError, match="its state 'words' is an array of <U1; a state is NumPy arrays of numbers"
    ):
        ModalityContract().test_the_state_rebuilds_what_fit_learnt(Words(), [[[1, 2, 3]]])
