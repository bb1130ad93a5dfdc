"""Whatever the files of a bundle hold, sealed or not, it is used, or refused by an error of the zoo."""

import copy
import json
import shutil
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from safetensors.numpy import load_file, save_file

from zoo.errors import IntegrityError, ZooError
from zoo.models.checkpoint import load
from zoo.recipes.spec import Recipe
from zoo.runtime.bundle import open_bundle
from zoo.runtime.manifest import sealed
from zoo.runtime.replay import replay
from zoo.training.runs import Run

MOST_BYTES = 256 << 20
GRAPHS = ("decode_left", "encode_left")
VALUES = {"left": [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9]]]}

examples = pytest.mark.parametrize("examples", [8, pytest.param(300, marks=pytest.mark.verify)])


def fuzz(check, count):
    """Run a check on what it draws, so many times."""
    settings(
        max_examples=count, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )(given(data=st.data())(check))()


scalars = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, 10**400, 0.5, float("nan"), float("inf"), -1e308),
        *("", "a", "../x", "/etc/passwd", "\ud800", "\0", "fp32", "int64", "batch", "x" * 300, "latent", "vectors"),
    ]
)
anything = st.one_of(
    scalars,
    st.lists(scalars, max_size=3),
    st.dictionaries(st.sampled_from(["name", "file", "size_bytes", "a", "", "\ud800"]), scalars, max_size=3),
)
arrays = st.sampled_from(
    [
        np.zeros(0, np.uint8),
        np.array(10**12),
        np.ones((2, 2)),
        np.array([1, 2, 3], np.int64),
        np.frombuffer(b"a\xff", np.uint8),
        np.array([True]),
        np.full(3, np.nan, np.float32),
        np.zeros((1,) * 30),
        np.zeros((3, 0), np.float16),
    ]
)


def places(value, place=()):
    """Yield the place of every value in a value of JSON, but its own."""
    if place:
        yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*place, key))


@st.composite
def changed(draw, value):
    """A value of JSON in which one or two things are replaced, removed or renamed."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        found = list(places(value))
        if not found:
            return draw(anything)
        *way, last = draw(st.sampled_from(found))
        table = value
        for key in way:
            table = table[key]
        what = draw(st.sampled_from(["replaced", "removed", "renamed"]))
        if what == "replaced":
            table[last] = draw(anything)
        elif what == "removed" or isinstance(table, list):
            del table[last]
        else:
            table[draw(st.sampled_from(["", "a", "../x", "fp16", "left.utf8", "\ud800"]))] = table.pop(last)
    return value


@st.composite
def changed_arrays(draw, known):
    """Arrays of a file of which some are others, gone, or bear another name."""
    known = dict(known)
    for name in draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=3, unique=True)):
        what = draw(st.sampled_from(["replaced", "removed", "renamed"]))
        if what == "replaced":
            known[name] = draw(arrays)
        else:
            one = known.pop(name)
            if what == "renamed":
                known[draw(st.sampled_from(["a", "modality:left:", "modality:left:a", "a/b/c/d", "a/0/inputs"]))] = one
    return known


@st.composite
def changed_bytes(draw, content):
    """Bytes of which a few are others, or the end is missing."""
    spoilt = bytearray(content)
    for place in draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        spoilt[place] = draw(st.integers(0, 255))
    return bytes(spoilt[: draw(st.sampled_from([len(spoilt), len(spoilt) // 2, 9]))])


def tried(use, *arguments):
    """Return what a call returns, None where it raises an error of the zoo with a message that can be read."""
    try:
        return use(*arguments)
    except ZooError as error:
        told = str(error)
    assert 10 < len(told) < 3000
    return None


def use_everywhere(folder, *, replays=False):
    """Do all that is done with a bundle; to replay its reference takes the longest."""
    opened = tried(open_bundle, folder)
    if opened is None:
        return
    for graph in GRAPHS:
        tried(opened.graph, graph)
    tried(opened.run, "encode_left", VALUES)
    tried(opened.run, "decode_left", {"latent": np.zeros((3, 2), np.float32)})
    tried(lambda: opened.recipe)
    if replays:
        tried(replay, opened)


@pytest.fixture(scope="module")
def small(exported, tmp_path_factory, rewrite):
    """A bundle of two graphs."""
    folder = shutil.copytree(exported, tmp_path_factory.mktemp("small") / "bundle")
    for path in folder.glob("*.onnx"):
        if path.stem not in GRAPHS:
            path.unlink()

    def change(manifest):
        manifest["graphs"] = {name: graph for name, graph in manifest["graphs"].items() if name in GRAPHS}

    rewrite(folder, change, files=True)
    return folder


@pytest.fixture
def spoilt(small, site, tmp_path):
    """A place for a copy of it, made anew by a call."""

    def make():
        shutil.rmtree(tmp_path / "spoilt", ignore_errors=True)
        return shutil.copytree(small, tmp_path / "spoilt")

    return make


def test_the_small_bundle_is_sound(small, site):
    opened = open_bundle(small)
    assert opened.run("encode_left", VALUES)
    assert len(replay(opened)) == 2


@examples
def test_any_manifest_is_used_or_refused(examples, spoilt):
    def check(data):
        folder = spoilt()
        path = folder / "manifest.json"
        manifest = data.draw(changed(json.loads(path.read_text())))
        path.write_text(json.dumps(sealed(manifest) if isinstance(manifest, dict) else manifest))
        use_everywhere(folder)

    fuzz(check, examples)


@examples
def test_any_spec_is_used_or_refused(examples, spoilt, rewrite):
    def check(data):
        folder = spoilt()
        path = folder / "spec.json"
        path.write_text(json.dumps(data.draw(changed(json.loads(path.read_text())))))
        rewrite(folder, files=True)
        use_everywhere(folder)

    fuzz(check, examples)


@pytest.mark.parametrize("name", ["state.safetensors", "reference.safetensors"])
@examples
def test_any_arrays_are_used_or_refused(examples, name, spoilt, rewrite):
    def check(data):
        folder = spoilt()
        save_file(data.draw(changed_arrays(load_file(folder / name))), folder / name)
        rewrite(folder, files=True)
        use_everywhere(folder, replays=name.startswith("reference"))

    fuzz(check, examples)


@pytest.mark.parametrize("name", ["state.safetensors", "reference.safetensors", "decode_left.onnx", "encode_left.onnx"])
@examples
def test_any_bytes_are_used_or_refused(examples, name, spoilt, rewrite):
    def check(data):
        folder = spoilt()
        (folder / name).write_bytes(data.draw(changed_bytes((folder / name).read_bytes())))
        rewrite(folder, files=True)
        use_everywhere(folder, replays=name.startswith("reference"))

    fuzz(check, examples)


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "F4", "no kind"])
@pytest.mark.parametrize("name", ["state.safetensors", "reference.safetensors"])
def test_arrays_of_a_kind_that_numpy_lacks_are_refused(name, kind, spoilt, rewrite):
    folder = spoilt()
    header = json.dumps({"a": {"dtype": kind, "shape": [0], "data_offsets": [0, 0]}}).encode()
    (folder / name).write_bytes(len(header).to_bytes(8, "little") + header)
    rewrite(folder, files=True)
    with pytest.raises(IntegrityError, match=rf"{name} holds no arrays for NumPy \(.*\); export the model again"):
        open_bundle(folder).contents.arrays(name)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "manifest.json").write_bytes(b" " * (17 << 20)),
        lambda folder: (folder / "state.safetensors").write_bytes((1 << 62).to_bytes(8, "little") + b"{}"),
        lambda folder: save_file({"modality:left:scale": np.array(10**12)}, folder / "state.safetensors"),
    ],
)
def test_a_claimed_size_takes_no_memory(spoil, spoilt, rewrite):
    folder = spoilt()
    spoil(folder)
    if (folder / "manifest.json").stat().st_size < 1 << 20:
        rewrite(folder, files=True)
    tracemalloc.start()
    use_everywhere(folder)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < MOST_BYTES


@pytest.mark.parametrize("file", ["../outside.onnx", "outside.onnx", "/etc/passwd", "", "..", 3, None])
def test_a_file_of_another_precision_is_bound_as_any_other(file, spoilt, rewrite):
    folder = spoilt()
    for place in (folder.parent, folder):
        shutil.copy(folder / "decode_left.onnx", place / "outside.onnx")

    def change(manifest):
        manifest["precisions"] = {"int8": {}}
        for graph in manifest["graphs"].values():
            graph["reduced"] = {"int8": {"file": file, "parity": graph["parity"]}}

    rewrite(folder, change)
    with pytest.raises(
        IntegrityError, match=r"names the file '.*', which its own list does not bind|'file' takes a te"
    ):
        open_bundle(folder, precision="int8")


def test_a_precision_that_a_graph_lacks_is_refused(spoilt, rewrite):
    folder = spoilt()
    rewrite(folder, lambda manifest: manifest.update(precisions={"int8": {}}))
    with pytest.raises(IntegrityError, match=r"graphs\.\w+\.reduced\.int8: expected a table, got None"):
        open_bundle(folder, precision="int8")


def test_a_recipe_that_makes_other_tensors_than_the_graphs_take_is_refused(spoilt, rewrite):
    folder = spoilt()
    path = folder / "spec.json"
    recipe = json.loads(path.read_text())
    for part in recipe["spec"]["inputs"]:
        part["modality"] = {"name": "vectors", "width": 4}
    path.write_text(json.dumps(recipe))
    save_file(
        {f"modality:{name}:scale": np.ones(4, np.float32) for name in ("left", "right")}, folder / "state.safetensors"
    )
    rewrite(folder, files=True)
    with pytest.raises(
        IntegrityError,
        match=r"spec\.json makes 'left\.values' with axes \('batch', 'length', 4\), the graph takes \('batch', 'left",
    ):
        open_bundle(folder).run("encode_left", VALUES)


@examples
def test_any_recipe_is_read_or_refused(examples, make_recipe):
    def check(data):
        tried(Recipe.read, data.draw(changed(make_recipe().written())), "recipe")

    fuzz(check, examples)


@examples
def test_any_checkpoint_is_loaded_or_refused(examples, trained, plugins, tmp_path):
    """Its own sha256 is right, so that the hash does not save us."""

    def check(data):
        from zoo.models.checkpoint import _digest, _read

        content, tensors = _read(trained)
        recipe = data.draw(changed(content["recipe"]))
        spoilt = {
            name: array
            for name, array in data.draw(changed_arrays({key: one.numpy() for key, one in tensors.items()})).items()
        }
        import torch
        from safetensors.torch import save

        made = {name: torch.from_numpy(np.array(array)) for name, array in spoilt.items()}
        told = {"schema": 1, "recipe": recipe}
        metadata = json.dumps({**told, "sha256": _digest(told, made)})
        try:
            content = save(made, {"zoo.spec": metadata})
        except UnicodeEncodeError:
            return
        (tmp_path / "spoilt.safetensors").write_bytes(content)
        tried(lambda: load(tmp_path / "spoilt.safetensors", plugins=plugins))

    fuzz(check, examples)


@examples
def test_any_state_of_a_run_is_used_or_refused(examples, trained, tmp_path):
    def check(data):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(trained.parent.parent, tmp_path / "run")
        path = tmp_path / "run" / trained.parent.name / "state.json"
        path.write_text(json.dumps(data.draw(changed(json.loads(path.read_text())))))
        tried(Run(tmp_path / "run").newest)

    fuzz(check, examples)
