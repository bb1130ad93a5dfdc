"""A bundle is compared with its manifest before it runs, and runs without torch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from zoo.discovery.plugins import installed
from zoo.errors import IntegrityError, NotFoundError, ParityError, UnknownNameError, UsageError, ZooError
from zoo.files.store import digests
from zoo.models.graphs import as_tensors
from zoo.protocols import TensorSpec
from zoo.runtime.bundle import open_bundle
from zoo.runtime.replay import replay
from zoo.runtime.values import as_array

NAMES = ["README.md", "decode_left.onnx", "encode_left.onnx", "reference.safetensors", "spec.json", "state.safetensors"]
WITHOUT_TORCH = """
import sys
for name in ("torch", "jaxtyping", "accelerate", "onnx"):
    sys.modules[name] = None
from zoo.cli import main
sys.argv = ["zoo", *sys.argv[1:]]
main()
"""


@pytest.fixture
def run_without_torch(bundle, site):
    def run(*arguments):
        path = os.pathsep.join(map(str, (Path(__file__).parent / "toy", Path(__file__).parent / "toy/metadata")))
        return subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    return run


def set_in(*keys, value):
    def change(table):
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = value

    return change


def test_a_bundle_computes_what_torch_computes(bundle, checkpoint):
    (graph,) = checkpoint.model.graphs(["reconstruct_left"])
    arrays = graph.draw(5, {"left.length": 4}, np.random.default_rng(0))
    with torch.no_grad():
        expected = graph.module(as_tensors(arrays))["reconstruct_left.total"].numpy()
    found = open_bundle(bundle).graph("reconstruct_left")(arrays)["reconstruct_left.total"]
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_raw_values_go_in_as_they_did_in_training(bundle, site, checkpoint):
    values = [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9]]]
    latent = open_bundle(bundle).run("encode_left", {"left": values})["encode_left.latent"]
    (graph,) = checkpoint.model.graphs(["encode_left"])
    arrays = checkpoint.model.modalities["left"].to_arrays(values)
    with torch.no_grad():
        expected = graph.module(as_tensors({f"left.{name}": array for name, array in arrays.items()}))
    assert np.allclose(latent, expected["encode_left.latent"].numpy(), atol=1e-5)


def test_a_bundle_runs_and_is_judged_where_torch_cannot_be_imported(bundle, run_without_torch, tmp_path):
    np.save(tmp_path / "latent.npy", np.ones((2, 2), np.float32))
    done = run_without_torch("run", bundle, "decode_left", "-i", f"latent={tmp_path / 'latent.npy'}", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert np.array(json.loads(done.stdout)["decode_left.total"]).shape == (2, 3)
    judged = run_without_torch("parity", bundle, "--json")
    assert judged.returncode == 0
    assert {found["graph"] for found in json.loads(judged.stdout)} >= {"encode_left", "decode_right"}


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(name, bundle):
    (bundle / name).unlink()
    with pytest.raises(IntegrityError, match=f"lacks the file '{name}' that its manifest lists; copy or export it"):
        open_bundle(bundle)


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_byte_is_named_with_both_hashes(name, bundle, zoo):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    result = zoo("parity", bundle)
    assert result.exit_code == 4
    assert f"{name} is not what its manifest promised: expected {len(content)} bytes with sha256 " in result.error


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"schema": 1, "files": [], "graphs": []}', "[" * 10_000])
def test_a_damaged_manifest_is_refused(text, bundle):
    (bundle / "manifest.json").write_text(text)
    with pytest.raises(IntegrityError, match=r"manifest.json is damaged \(.*\); export the model again"):
        open_bundle(bundle)


def test_a_newer_manifest_says_what_to_upgrade(bundle, zoo, rewrite):
    rewrite(bundle, set_in("schema", value=3))
    result = zoo("parity", bundle)
    assert result.exit_code == 2
    assert result.error.endswith("has schema 3, this modalzoo reads up to 2; upgrade modalzoo")


@pytest.mark.parametrize("file", ["../secret.onnx", "/etc/passwd", "..", "unbound.onnx", ""])
def test_a_graph_outside_what_the_manifest_binds_is_refused(file, bundle, rewrite):
    (bundle / "unbound.onnx").write_bytes((bundle / "decode_left.onnx").read_bytes())
    rewrite(bundle, set_in("graphs", "decode_left", "file", value=file))
    with pytest.raises(
        IntegrityError, match=r"names the file '.*', which its own list does not bind; export the model"
    ):
        open_bundle(bundle)


def test_a_listed_file_outside_the_bundle_is_refused(bundle, rewrite):
    (bundle.parent / "secret").write_text("secret")
    rewrite(bundle, set_in("files", "../secret", value=digests(bundle.parent)["secret"]))
    with pytest.raises(IntegrityError, match=r"lists '../secret', which does not name a file in it; do not use"):
        open_bundle(bundle)


@pytest.mark.parametrize("name", ["../../outside", "a/b", "", "a\nb"])
def test_a_tensor_whose_name_could_become_a_path_is_refused(name, bundle, rewrite):
    rewrite(bundle, lambda m: m["graphs"]["decode_left"]["outputs"].update({name: {}}))
    with pytest.raises(
        IntegrityError, match=r"names a graph or tensor '.*', which is not a valid name; do not use this bundle"
    ):
        open_bundle(bundle)


def test_a_folder_that_is_no_bundle_is_told(tmp_path):
    with pytest.raises(
        NotFoundError, match=r"is not a bundle: it lacks manifest.json; name a folder that `zoo export`"
    ):
        open_bundle(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"latent": np.zeros((2, 2))},
            r"takes latent: float32 \(batch, 2\); 'latent' came as float64 of shape \(2, 2\)",
        ),
        ({"latent": np.zeros(2, np.float32)}, r"'latent' came as float32 of shape \(2,\)"),
        ({"latent": np.zeros((2, 3), np.float32)}, r"axis 2 of 'latent' is 2; it came as float32 of shape \(2, 3\)"),
        ({"latent": np.zeros((0, 2), np.float32)}, r"axis batch of 'latent' is 1 to 2147483647, equal in all inputs"),
        ({"laten": np.zeros((2, 2), np.float32)}, r"takes latent: float32 \(batch, 2\); got laten"),
        ({}, r"takes latent: float32 \(batch, 2\); got nothing"),
    ],
)
def test_wrong_arrays_say_what_the_graph_takes(arrays, message, bundle):
    with pytest.raises(UsageError, match=f"^the graph 'decode_left'.*{message}"):
        open_bundle(bundle).graph("decode_left")(arrays)


@pytest.mark.parametrize(
    ("rows", "length", "message"),
    [
        (2, 7, r"axis left.length of 'left.\w+' is 1 to 6, equal in all inputs; it came as \w+ of shape"),
        (3, 2, r"axis batch of 'left.\w+' is 1 to 2147483647, equal in all inputs; it came as \w+"),
    ],
)
def test_a_free_axis_stays_in_its_bounds_and_is_one_size_everywhere(rows, length, message, bundle):
    arrays = {"left.values": np.zeros((2, length, 3), np.float32), "left.mask": np.ones((rows, length), bool)}
    with pytest.raises(UsageError, match=message):
        open_bundle(bundle).graph("encode_left")(arrays)


def test_ids_outside_their_range_are_refused(bundle, rewrite):
    rewrite(bundle, set_in("graphs", "decode_left", "inputs", "latent", "dtype", value="int64"))
    rewrite(bundle, lambda m: m["graphs"]["decode_left"]["inputs"]["latent"].update(low=0, high=9))
    with pytest.raises(UsageError, match="'latent' takes 0 to 9; it came with 3 to 10"):
        open_bundle(bundle).graph("decode_left")({"latent": np.array([[3, 10]])})


def test_an_unknown_graph_or_input_names_the_nearest(bundle, site):
    opened = open_bundle(bundle)
    with pytest.raises(UnknownNameError, match=r"no graph 'encode_lift'.*Did you mean 'encode_left'\?"):
        opened.graph("encode_lift")
    with pytest.raises(UnknownNameError, match=r"no input 'lift'; available: left, right. Did you mean 'left'\?"):
        opened.modality("lift")
    with pytest.raises(UsageError, match="the graph 'encode_left' has no input 'right'; it takes left"):
        opened.run("encode_left", {"right": [[[1, 2, 3]]]})


def test_an_unknown_provider_is_refused_with_those_there_are(bundle):
    with pytest.raises(UsageError, match="no provider 'gpu'; available: cpu, cuda, tensorrt"):
        open_bundle(bundle, provider="gpu").graph("decode_left")


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA can be used here")
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_cannot_be_used_fails_and_never_falls_back(provider, bundle):
    with pytest.raises(ZooError, match=r"has no \w+ExecutionProvider; install|cannot be used here[,:]"):
        open_bundle(bundle, provider=provider).graph("decode_left")


def test_without_onnxruntime_the_extra_to_install_is_named(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ZooError, match=r"onnxruntime is not installed; `pip install modalzoo\[cpu\]` or .*\[gpu\]"):
        open_bundle(bundle).graph("decode_left")


def test_a_bundle_whose_plugin_is_missing_still_runs_on_arrays(bundle, site, monkeypatch):
    monkeypatch.setenv("ZOO_PLUGINS", "-modalzoo-toy")
    installed.cache_clear()
    opened = open_bundle(bundle)
    assert opened.run("decode_left", {"latent": np.zeros((1, 2), np.float32)})["decode_left.total"].shape == (1, 3)
    with pytest.raises(UnknownNameError, match="no modality 'vectors'"):
        opened.run("encode_left", {"left": [[[1, 2, 3]]]})


def test_a_replay_counts_its_cases_and_finds_what_drifted(bundle, rewrite):
    assert all(cases > 12 and worst.used <= 1 for cases, worst in replay(open_bundle(bundle)).values())
    reference = load_file(bundle / "reference.safetensors")
    reference["encode_left/2/expected/encode_left.latent"] += 1e-3
    save_file(reference, bundle / "reference.safetensors")
    rewrite(bundle, lambda m: m["files"].update({"reference.safetensors": digests(bundle)["reference.safetensors"]}))
    with pytest.raises(ParityError, match=r"^encode_left, case 'reference 2', output 'encode_left.latent', row 0"):
        replay(open_bundle(bundle))


def test_a_manifest_that_was_changed_is_refused(bundle):
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace('"modalzoo": "', '"modalzoo": "9'))
    with pytest.raises(
        IntegrityError, match=r"manifest.json was changed after the export: expected content with sha256 "
    ):
        open_bundle(bundle)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([[0.5]], "float64 with values that int64 cannot hold"),
        ([["a"]], "it came as text"),
        ([[None]], "it came as object"),
        ([[float("nan")]], "float64 with values that int64 cannot hold"),
        ([[2**63]], "uint64 with values that int64 cannot hold"),
        ([[1], [1, 2]], "inhomogeneous"),
    ],
)
def test_numbers_are_not_bent_to_fit(given, reason):
    with pytest.raises(UsageError, match=f"'ids' takes numbers of int64 with axes .*{reason}"):
        as_array(given, TensorSpec("int64", ("batch", "length")), "ids")


def test_a_number_too_large_for_a_float_is_refused_and_infinity_is_not():
    spec = TensorSpec("float32", ("batch",))
    with pytest.raises(UsageError, match="float64 with values that float32 cannot hold"):
        as_array([1e300], spec, "latent")
    assert np.isposinf(as_array([np.inf], spec, "latent")).all()


def test_no_row_at_all_is_refused(bundle, site):
    for values in ({"left": []}, {"left.values": np.zeros((0, 2, 3), np.float32), "left.mask": np.ones((0, 2), bool)}):
        with pytest.raises(UsageError, match="the graph 'encode_left' takes at least one row; got no value of left"):
            open_bundle(bundle).run("encode_left", values)


def test_a_file_that_is_no_graph_is_told_by_its_name(bundle, zoo, rewrite):
    (bundle / "decode_left.onnx").write_bytes(b"not a graph")
    rewrite(bundle, lambda m: m["files"].update({"decode_left.onnx": digests(bundle)["decode_left.onnx"]}))
    result = zoo("run", bundle, "decode_left", "-i", "latent=1")
    assert result.exit_code == 1
    assert result.error.startswith("onnxruntime cannot load the graph 'decode_left': ")
    assert result.error.endswith("; export the model again")
