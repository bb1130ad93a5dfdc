"""Rows in batches, memory that stays, optimised graphs that are kept: none of them changes an answer."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import UsageError, ZooError
from zoo.files.home import home
from zoo.files.store import digests
from zoo.protocols import Axis, TensorSpec
from zoo.runtime.batching import in_batches, own_lengths
from zoo.runtime.binding import MOST_SHAPES
from zoo.runtime.bundle import open_bundle
from zoo.runtime.loading import load, provider_options, session_options
from zoo.runtime.optimised import UNUSED_S, place_of
from zoo.runtime.session import Session

IMPORTED = """
import sys
import numpy as np
from zoo import open_bundle
opened = open_bundle(sys.argv[1])
opened.graph("decode_left")({"latent": np.zeros((1, 2), np.float32)})
print(*{name.split(".")[0] for name in sys.modules})
"""


@pytest.fixture
def latents():
    return {"latent": np.random.default_rng(0).standard_normal((5, 2), np.float32)}


def kept():
    return sorted(path for path in (home() / "optimised").rglob("*") if path.is_file())


def answers(folder, arrays, **settings):
    return {key: array.tobytes() for key, array in open_bundle(folder, **settings).graph("decode_left")(arrays).items()}


def values(count, *, seed=0):
    """Raw values of the toy: one to six vectors of three numbers."""
    generator = np.random.default_rng(seed)
    return [generator.standard_normal((generator.integers(1, 7), 3)).tolist() for _ in range(count)]


def test_an_optimised_graph_is_kept_and_its_answers_are_equal_to_the_bit(bundle, site, latents):
    plain = answers(bundle, latents, keeps=False)
    assert kept() == []
    assert answers(bundle, latents) == plain
    (path,) = kept()
    written = path.stat().st_mtime_ns
    assert answers(bundle, latents) == plain
    assert (kept(), path.stat().st_mtime_ns) == ([path], written)


def test_a_kept_graph_is_what_the_next_opening_loads(bundle, site, latents, monkeypatch):
    answers(bundle, latents)
    import onnxruntime

    loaded = []
    make = onnxruntime.InferenceSession

    def spy(graph, options, **settings):
        loaded.append((type(graph), options.graph_optimization_level))
        return make(graph, options, **settings)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    answers(bundle, latents)
    assert loaded == [(bytes, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)]


@pytest.mark.parametrize("damage", ["", "flipped", "cut", "no graph"])
def test_a_damaged_kept_graph_is_made_again(damage, bundle, site, latents):
    import hashlib

    plain = answers(bundle, latents)
    (path,) = kept()
    whole = path.read_bytes()
    no_graph = hashlib.sha256(b"no graph").digest() + b"no graph"
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    path.write_bytes({"": b"", "flipped": flipped, "cut": whole[: len(whole) // 2], "no graph": no_graph}[damage])
    assert answers(bundle, latents) == plain
    assert path.read_bytes() == whole


def test_a_graph_that_is_faster_optimised_than_read_is_not_kept(bundle, site, latents, monkeypatch):
    monkeypatch.setattr("zoo.runtime.optimised.LARGEST_BYTES", 10)
    plain = answers(bundle, latents, keeps=False)
    assert answers(bundle, latents) == plain
    (path,) = kept()
    assert path.stat().st_size == 32  # the hash of nothing
    saved = []
    monkeypatch.setattr("zoo.runtime.optimised._made_and_kept", lambda *_: saved.append(1))
    assert answers(bundle, latents) == plain
    assert saved == []


def test_what_nobody_used_for_a_month_is_swept_as_another_graph_is_kept(bundle, site, latents):
    answers(bundle, latents)
    (path,) = kept()
    long_ago = time.time() - UNUSED_S + 3600
    os.utime(path, (long_ago, long_ago))
    answers(bundle, latents)  # it is used, and so stays another month
    open_bundle(bundle).graph("encode_left")
    assert path in kept()
    os.utime(path, (long_ago - 7200, long_ago - 7200))
    open_bundle(bundle).graph("reconstruct_left")
    assert path not in kept()
    assert len(kept()) == 2


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(bundle, site, latents, tmp_path, monkeypatch):
    plain = answers(bundle, latents, keeps=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "file"))
    assert answers(bundle, latents) == plain
    make = tempfile.TemporaryDirectory

    def full_for_what_is_kept(**given):
        if not given:
            raise OSError("full")
        return make(**given)

    monkeypatch.setattr("tempfile.TemporaryDirectory", full_for_what_is_kept)
    assert answers(bundle, latents) == plain


def test_a_kept_graph_is_known_by_the_bytes_that_it_was_made_of(bundle, site, latents, rewrite):
    answers(bundle, latents)
    answers(bundle, latents, threads=2)
    rewrite(bundle, lambda manifest: manifest.update(origin={}))
    answers(bundle, latents)
    assert len(kept()) == 1
    files = [digests(bundle)["decode_left.onnx"]["sha256"]]
    assert kept() == [place_of(f"made of {' '.join(files)} []")]


def test_memory_that_stays_changes_no_answer_of_any_shape(bundle, site):
    bound, plain = open_bundle(bundle, fixed_shapes=True), open_bundle(bundle)
    generator = np.random.default_rng(0)
    given, found = [], []
    for rows in [*range(1, MOST_SHAPES + 3), 1, 1, 3, 3]:
        given.append({"latent": generator.standard_normal((rows, 2), np.float32)})
        found.append(bound.graph("decode_left")(given[-1]))
    for arrays, answer in zip(given, found, strict=True):
        assert np.array_equal(answer["decode_left.total"], plain.graph("decode_left")(arrays)["decode_left.total"])


def test_memory_that_stays_is_not_the_callers(bundle, site, latents):
    graph = open_bundle(bundle, fixed_shapes=True).graph("decode_left")
    first = graph(latents)["decode_left.total"]
    before, own = first.copy(), latents["latent"].copy()
    graph({"latent": latents["latent"] * 2})
    assert np.array_equal(first, before)
    assert np.array_equal(latents["latent"], own)


def test_parity_options_reach_the_provider(bundle, site, monkeypatch):
    assert provider_options("cuda") == {"use_tf32": "0"}
    assert provider_options("cuda", fixed_shapes=True) == {"use_tf32": "0", "enable_cuda_graph": "1"}
    assert provider_options("cpu", fixed_shapes=True) == provider_options("tensorrt") == {}
    asked = []

    class Fake:
        def __init__(self, graph, options, *, providers, enable_fallback):
            assert not enable_fallback
            asked.append((graph, options, providers))

        def get_providers(self):
            return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    monkeypatch.setattr("onnxruntime.InferenceSession", Fake)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    settings = {"session.disable_cpu_ep_fallback": "1"}
    load(bundle / "decode_left.onnx", provider="cuda", threads=3, fixed_shapes=True, settings=settings, identity="a")
    ((graph, options, providers),) = asked
    assert graph == str(bundle / "decode_left.onnx")
    assert providers == [("CUDAExecutionProvider", {"use_tf32": "0", "enable_cuda_graph": "1"})]
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
    assert kept() == []


def test_a_session_has_one_thread_or_as_many_as_were_asked_for(bundle):
    assert session_options(1).intra_op_num_threads == 1
    with pytest.raises(UsageError, match="a session runs on at least 1 thread, got 0"):
        open_bundle(bundle, threads=0).graph("decode_left")


def test_a_batch_of_less_than_a_row_is_refused(bundle, site):
    with pytest.raises(UsageError, match=r"^batch_rows is at least 1, got 0$"):
        open_bundle(bundle).run("encode_left", {"left": values(3)}, batch_rows=0)


def test_rows_in_batches_answer_as_they_do_alone_and_in_their_order(bundle, site):
    opened, rows = open_bundle(bundle), values(50)
    together = opened.run("encode_left", {"left": rows}, batch_rows=8)["encode_left.latent"]
    alone = [opened.run("encode_left", {"left": [row]})["encode_left.latent"][0] for row in rows]
    assert np.allclose(together, alone, atol=1e-5)


def fake_session(free_answers=False):
    """A session that notes the shapes it is called with; it answers the sum of each row."""
    shapes = []
    inputs = {
        "text.ids": TensorSpec("int64", ("batch", "text.length"), 0, 99),
        "text.mask": TensorSpec("bool", ("batch", "text.length"), 0, 1),
    }

    def compute(arrays):
        shapes.append(arrays["text.ids"].shape)
        assert arrays["text.mask"].shape == arrays["text.ids"].shape
        return {"sum": arrays["text.ids"].sum(axis=1)}

    return Session("fake", inputs, {"text.length": Axis(2, 16, padded=True)}, ("sum",), compute), shapes


def texts(lengths, width=16):
    mask = np.arange(width) < np.array(lengths)[:, None]
    return {"text.ids": mask * np.arange(1, len(lengths) + 1)[:, None], "text.mask": mask}


def test_batches_are_bounded_and_hold_rows_of_like_length_without_padding():
    session, shapes = fake_session()
    lengths = [1, 16, 2, 15, 1, 3, 9, 8]
    found = in_batches(session, texts(lengths), rows=2, trims=True)
    assert found["sum"].tolist() == [length * row for row, length in enumerate(lengths, start=1)]
    assert shapes == [(2, 16), (2, 9), (2, 3), (2, 2)]  # the axis is at least 2 long


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([16] * 20 + [2] * 20, [(20, 16), (20, 2)]),
        ([16] * 20 + [8] * 20, [(40, 16)]),
        ([16] * 4 + [2] * 30, [(16, 16), (18, 2)]),
    ],
)
def test_rows_of_less_than_half_the_length_begin_another_batch_once_one_is_worth_it(lengths, expected):
    session, shapes = fake_session()
    in_batches(session, texts(lengths), rows=64, trims=True)
    assert shapes == expected


def test_answers_as_long_as_their_inputs_are_not_trimmed():
    session, shapes = fake_session()
    in_batches(session, texts([1, 16, 2, 15]), rows=2, trims=False)
    assert shapes == [(2, 16), (2, 16)]


def test_few_rows_are_one_call_as_they_came():
    session, shapes = fake_session()
    in_batches(session, texts([1, 2, 3]), rows=3, trims=True)
    assert shapes == [(3, 16)]


def test_the_length_of_a_row_is_up_to_its_last_place_in_use_in_any_tensor():
    session, _ = fake_session()
    arrays = texts([0, 3, 5], width=6)
    arrays["text.ids"][2, 4] = 0  # a word with the id zero is in use still, the mask says
    assert own_lengths(arrays, session.inputs, session.axes)["text.length"].tolist() == [0, 3, 5]


def test_arrays_of_other_shapes_run_apart(bundle, site):
    opened = open_bundle(bundle)
    sizes = [2, 4, 2, 6]
    arrays = [np.full((size, 3), size, np.float32) for size in sizes]
    masks = [np.ones(size, bool) for size in sizes]
    found = opened.run("encode_left", {"left.values": arrays, "left.mask": masks})["encode_left.latent"]
    for row, array in enumerate(arrays):
        one = opened.run("encode_left", {"left.values": [array], "left.mask": [masks[row]]})
        assert np.allclose(found[row], one["encode_left.latent"][0], atol=1e-6)


def test_answers_of_unequal_shapes_make_no_array(bundle, site, monkeypatch):
    opened = open_bundle(bundle)
    monkeypatch.setattr(
        type(opened), "run_arrays", lambda self, graph, arrays, **_: {"length": arrays["left.values"][:, :, 0]}
    )
    arrays = {"left.values": [np.zeros((2, 3)), np.zeros((4, 3))], "left.mask": [np.ones(2, bool), np.ones(4, bool)]}
    with pytest.raises(UsageError, match=r"'length' has answers of shapes \(2,\) and \(4,\); run rows of other shapes"):
        opened.run("encode_left", arrays)


def test_a_graph_that_fails_while_it_runs_is_named(bundle, site, latents, monkeypatch):
    opened = open_bundle(bundle)
    session = opened.graph("decode_left")
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail

    class Failing:
        def run(self, *_):
            raise Fail("no memory\ntrace")

    monkeypatch.setattr("zoo.runtime.session.load", lambda *_, **__: Failing())
    broken = open_bundle(bundle).graph("decode_left")
    with pytest.raises(
        ZooError, match="onnxruntime cannot run the graph 'decode_left' on inputs of these sizes: no mem"
    ):
        broken(latents)
    assert session(latents)


def test_serving_imports_neither_torch_nor_what_only_other_commands_need(bundle, site):
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent / "toy")}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, str(bundle)], env=env, capture_output=True, text=True, check=True
    )
    heavy = {"torch", "onnx", "accelerate", "jaxtyping", "rich", "urllib3", "PIL", "click", "tomlkit", "platformdirs"}
    assert not heavy & set(done.stdout.split())
