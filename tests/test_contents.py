"""A bundle that is replaced while it is open: no answer is that of neither model, and what is kept is true."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from zoo_onnx.exporter import OnnxExporter

from zoo.errors import DiskError, IntegrityError
from zoo.exporting.bundle import export, renew
from zoo.files.home import home
from zoo.files.store import _exchange
from zoo.models.checkpoint import load, save_checkpoint
from zoo.runtime.bundle import open_bundle
from zoo.runtime.contents import REFERENCE
from zoo.runtime.external import external_files
from zoo.runtime.optimised import place_of
from zoo.runtime.records import Origin

GRAPHS = ("encode_left", "decode_left")
LATENTS = {"latent": np.random.default_rng(0).standard_normal((3, 2), np.float32)}

# Opens a bundle again and again, loads its graphs one after the other, and notes what they answer.
READER = """
import os, sys, time
import numpy as np
from zoo import open_bundle
from zoo.errors import IntegrityError
folder, stop = sys.argv[1], sys.argv[2]
latents = np.random.default_rng(0).standard_normal((3, 2), np.float32)
values = {"left.values": np.ones((2, 3, 3), np.float32), "left.mask": np.ones((2, 3), bool)}
answers, refused, opened_so_far = set(), 0, 0
while not os.path.exists(stop):
    opened_so_far += 1
    try:
        opened = open_bundle(folder, keeps=opened_so_far % 2 == 0)
        time.sleep(0.005)
        decoded = opened.graph("decode_left")({"latent": latents})["decode_left.total"]
        time.sleep(0.005)
        encoded = opened.graph("encode_left")(values)["encode_left.latent"]
    except IntegrityError as error:
        assert "replaced" in str(error), error
        refused += 1
    else:
        answers.add(decoded.tobytes().hex() + " " + encoded.tobytes().hex())
        if opened_so_far < 5:
            open(f"{stop}-{os.getpid()}", "w").close()  # ready
print(refused, *sorted(answers), sep="\\n")
"""


@pytest.fixture(scope="module")
def two(trained, plugins, tmp_path_factory):
    """Two bundles of one spec whose graphs read their weights from a file; read them only."""
    import torch

    place = tmp_path_factory.mktemp("two")
    other = load(trained, plugins=plugins)
    with torch.no_grad():
        for weight in other.model.objective.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    save_checkpoint(other.model, other.recipe, place / "tuned.safetensors")
    exporter = OnnxExporter()
    export(load(trained, plugins=plugins), exporter, place / "one", origin=Origin("one"), graphs=GRAPHS)
    shutil.copytree(place / "one", place / "another")
    renew(
        load(place / "tuned.safetensors", plugins=plugins),
        exporter,
        open_bundle(place / "another"),
        origin=Origin("another"),
    )
    return place / "one", place / "another"


@pytest.fixture
def live(two, tmp_path, site):
    """A copy of the first bundle, to be replaced."""
    return shutil.copytree(two[0], tmp_path / "live")


def replace_by(live, other):
    """Put another bundle in the place of one, as an export does."""
    staged = shutil.copytree(other, live.with_name("staged"))
    assert _exchange(staged, live)
    shutil.rmtree(staged)


def decoded(bundle):
    return bundle.graph("decode_left")(LATENTS)["decode_left.total"].tobytes()


def test_two_models_of_one_spec_share_their_graphs_bytes_and_answer_otherwise(two):
    one, another = map(open_bundle, two)
    assert decoded(one) != decoded(another)


def test_a_graph_that_was_loaded_before_goes_on_answering(two, live):
    opened = open_bundle(live)
    before = decoded(opened)
    replace_by(live, two[1])
    assert decoded(opened) == before
    shutil.copytree(two[1], live, dirs_exist_ok=True)  # in place, file by file
    assert decoded(opened) == before == decoded(open_bundle(two[0]))


@pytest.mark.parametrize("keeps", [True, False])
def test_what_was_not_loaded_before_is_refused_and_the_way_on_is_told(keeps, two, live):
    opened = open_bundle(live, keeps=keeps)
    opened.graph("decode_left")
    replace_by(live, two[1])
    for use in (lambda: opened.graph("encode_left"), lambda: opened.contents.arrays(REFERENCE)):
        with pytest.raises(IntegrityError, match=r"live was replaced by another bundle after it was opened; open it a"):
            use()
    assert decoded(open_bundle(live)) == decoded(open_bundle(two[1]))


def test_a_bundle_that_was_replaced_and_put_back_meanwhile_is_read_again(two, live, monkeypatch):
    from zoo.files.bound import BoundFiles

    copy, tries = BoundFiles.copy, []

    def exchanged(files, name, folder):
        tries.append(name)
        if len(tries) > 1:
            return copy(files, name, folder)
        replace_by(live, two[1])
        try:
            return copy(files, name, folder)
        finally:
            replace_by(live, two[0])

    opened = open_bundle(live, keeps=False)
    monkeypatch.setattr(BoundFiles, "copy", exchanged)
    assert decoded(opened) == decoded(open_bundle(two[0], keeps=False))
    assert tries[:2] == ["decode_left.onnx", "decode_left.onnx"]


def test_nothing_is_kept_of_a_bundle_that_was_replaced(two, live):
    opened = open_bundle(live)
    replace_by(live, two[1])
    with pytest.raises(IntegrityError, match="was replaced by another bundle"):
        opened.graph("decode_left")
    assert not [path for path in (home() / "optimised").rglob("*") if path.is_file()]
    assert decoded(open_bundle(two[0])) == decoded(open_bundle(two[0], keeps=False))


def test_weights_that_change_without_the_manifest_are_refused(two, live):
    opened = open_bundle(live)
    shutil.copy(two[1] / "model.safetensors", live)
    with pytest.raises(IntegrityError, match=r"model\.safetensors is not what its manifest promised: expected"):
        opened.graph("decode_left")


def test_a_kept_graph_of_the_older_form_is_not_trusted(two, site):
    """It was known by its bundle, whatever weights it was made of."""
    manifest = json.loads((two[0] / "manifest.json").read_text())
    expected = decoded(open_bundle(two[1]))
    (kept,) = (path for path in (home() / "optimised").rglob("*") if path.is_file())
    old = place_of(f"{manifest['sha256']} decode_left.onnx []")
    old.parent.mkdir(parents=True, exist_ok=True)
    kept.rename(old)
    assert decoded(open_bundle(two[0])) != expected


def test_a_bundle_that_is_replaced_while_it_is_opened_is_read_anew(two, live, monkeypatch):
    from zoo.files.bound import BoundFiles

    verify, times = BoundFiles.verify, []

    def interrupted(files):
        times.append(1)
        if len(times) == 1:
            replace_by(live, two[1])
        verify(files)

    monkeypatch.setattr(BoundFiles, "verify", interrupted)
    opened = open_bundle(live)
    assert len(times) == 2
    assert opened.manifest.written() == json.loads((two[1] / "manifest.json").read_text())


def test_a_bundle_that_is_replaced_all_the_time_is_told(two, live, monkeypatch):
    from zoo.files.bound import BoundFiles

    verify, others = BoundFiles.verify, [two[0], two[1]] * 20

    def interrupted(files):
        replace_by(live, others.pop())
        verify(files)

    monkeypatch.setattr(BoundFiles, "verify", interrupted)
    with pytest.raises(IntegrityError, match="was replaced 20 times while it was opened; open it again"):
        open_bundle(live)


def exchanges_against(live, two, tmp_path, processes, exchanges):
    """Exchange a bundle while processes open it; return how often they refused it, and all that they answered."""
    import time

    (tmp_path / "readers").mkdir()
    stop = tmp_path / "readers/stop"
    path = os.pathsep.join([str(Path(__file__).parent / "toy")])
    command = [sys.executable, "-c", READER, str(live), str(stop)]
    readers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})
        for _ in range(processes)
    ]
    while len(list(stop.parent.iterdir())) < processes:
        assert all(reader.poll() is None for reader in readers)
        time.sleep(0.05)
    for number in range(exchanges):
        replace_by(live, two[(number + 1) % 2])
        time.sleep(0.02)
    stop.touch()
    lines = []
    for reader in readers:
        lines += reader.communicate(timeout=600)[0].splitlines()
        assert reader.returncode == 0
    return sum(int(line) for line in lines if " " not in line), {line for line in lines if " " in line}


def answers_of(folder):
    opened = open_bundle(folder, keeps=False)
    values = {"left.values": np.ones((2, 3, 3), np.float32), "left.mask": np.ones((2, 3), bool)}
    encoded = opened.graph("encode_left")(values)["encode_left.latent"].tobytes()
    return f"{decoded(opened).hex()} {encoded.hex()}"


@pytest.mark.parametrize(("processes", "exchanges"), [(3, 30), pytest.param(60, 85, marks=pytest.mark.verify)])
def test_processes_that_open_a_bundle_while_it_is_exchanged_get_answers_of_one_model(
    processes, exchanges, live, two, tmp_path
):
    _, found = exchanges_against(live, two, tmp_path, processes, exchanges)
    models = {answers_of(folder) for folder in two}
    assert len(models) == 2
    assert found <= models
    for folder in two:  # what was kept meanwhile is true
        assert f"{decoded(open_bundle(folder)).hex()}" == answers_of(folder).partition(" ")[0]


@pytest.fixture
def spoil(rewrite):
    """Change an ONNX file, and seal the bundle again."""

    def spoilt(folder, name, change):
        model = onnx.load(folder / name, load_external_data=False)
        change(model)
        (folder / name).write_bytes(model.SerializeToString())
        rewrite(folder, files=True)

    return spoilt


def pointing_to(location):
    def change(model):
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = location

    return change


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("location", ["../outside", "{outside}", "inside/../../outside", "./model.safetensors", "none"])
def test_a_graph_that_reads_weights_elsewhere_is_refused(location, keeps, live, tmp_path, spoil):
    shutil.copy(live / "model.safetensors", tmp_path / "outside")
    location = location.format(outside=tmp_path / "outside")
    spoil(live, "decode_left.onnx", pointing_to(location))
    with pytest.raises(IntegrityError, match=r"reads the file '.*', which the manifest does not bind; do not use this"):
        open_bundle(live, keeps=keeps).graph("decode_left")


def every_kind_of_tensor():
    """An ONNX model with an external tensor, named by its place, wherever the format has one."""
    helper = onnx.helper

    def tensor(name):
        made = onnx.TensorProto(name=name, data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
        made.external_data.add(key="offset", value="0")
        made.external_data.add(key="location", value=name)
        return made

    def sparse(name):
        return onnx.SparseTensorProto(values=tensor(f"{name}-values"), indices=tensor(f"{name}-indices"), dims=[1])

    def attribute(kind, **given):
        return onnx.AttributeProto(name="a", type=kind, **given)

    def node(*attributes):
        return onnx.NodeProto(op_type="Constant", output=["c"], attribute=attributes)

    kinds = onnx.AttributeProto
    inner = helper.make_graph([], "inner", [], [], [tensor("in-a-subgraph")])
    nodes = [
        node(attribute(kinds.TENSOR, t=tensor("in-an-attribute"))),
        node(attribute(kinds.TENSORS, tensors=[tensor("in-a-list")])),
        node(attribute(kinds.SPARSE_TENSOR, sparse_tensor=sparse("sparse"))),
        node(attribute(kinds.SPARSE_TENSORS, sparse_tensors=[sparse("sparse-list")])),
        node(attribute(kinds.GRAPH, g=inner)),
        node(attribute(kinds.GRAPHS, graphs=[helper.make_graph([], "g", [], [], [tensor("in-a-list-of-graphs")])])),
    ]
    graph = helper.make_graph(nodes, "main", [], [], [tensor("initialiser")])
    graph.sparse_initializer.append(sparse("sparse-initialiser"))
    model = helper.make_model(graph)
    function = onnx.FunctionProto(name="f", domain="d")
    function.node.append(node(attribute(kinds.TENSOR, t=tensor("in-a-function"))))
    function.attribute_proto.append(attribute(kinds.TENSOR, t=tensor("in-a-default")))
    model.functions.append(function)
    model.training_info.add(
        algorithm=helper.make_graph([], "a", [], [], [tensor("in-training")]),
        initialization=helper.make_graph([], "i", [], [], [tensor("in-initialisation")]),
    )
    return model


def test_files_are_found_wherever_onnx_has_a_tensor():
    model = every_kind_of_tensor()
    text = str(model)
    expected = {line.split('"')[1] for line in text.splitlines() if 'value: "' in line} - {"0"}
    assert len(expected) == 15
    assert set(external_files(model.SerializeToString())) == expected


@pytest.mark.parametrize("content", [b"location", b"\xff" * 40 + b"location", b"\x3a\x7flocation", b"\x0b location"])
def test_bytes_that_are_no_onnx_are_told(content):
    with pytest.raises(ValueError, match=r"a (field|number) "):
        external_files(content)


def test_without_a_place_for_temporary_files_the_way_on_is_told(live, monkeypatch):
    def none(**_):
        raise OSError("read-only")

    opened = open_bundle(live)
    monkeypatch.setattr(tempfile, "TemporaryDirectory", none)
    with pytest.raises(DiskError, match=r"none can be made; set TMPDIR to one that may be written"):
        opened.graph("decode_left")


def test_where_the_disk_is_read_only_shared_memory_takes_what_is_temporary(live, monkeypatch, tmp_path):
    make = tempfile.TemporaryDirectory

    def only_there(dir=None, **given):
        if dir is None:
            raise OSError("read-only")
        return make(dir=tmp_path, **given)

    opened = open_bundle(live, keeps=False)
    monkeypatch.setattr(tempfile, "TemporaryDirectory", only_there)
    assert decoded(opened)


def test_no_temporary_file_is_left(live, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    opened = open_bundle(live)
    assert decoded(opened)
    assert list((tmp_path / "temporary").iterdir()) == []
