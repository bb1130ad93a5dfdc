"""The exporter's contract, and further requirements of OpenVINO's files and process."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate
from zoo_openvino.exporter import OpenvinoExporter
from zoo_openvino.importing import openvino, ops

from zoo import Graph, TensorSpec, ZooError
from zoo.cli import main
from zoo.errors import ParityError
from zoo.exporting.judging import judge, make_cases
from zoo.testing import ExporterContract

WEIGHTS = 300
# The command if neither is installed.
SERVED = (
    "import sys; sys.modules.update(dict.fromkeys(['torch', 'onnx', 'onnxruntime'])); from zoo.cli import main; main()"
)


class TestOpenvinoExporter(ExporterContract):
    @pytest.fixture
    def exporter(self) -> OpenvinoExporter:
        return OpenvinoExporter()


class Layer(nn.Module):
    """A layer, and operations that OpenVINO names by its own count."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3, WEIGHTS // 3, bias=False)

    def forward(self, tensors):
        return {"toy.out": self.linear(tensors["x.values"]).relu().softmax(-1)}


class Shrunk(nn.Module):
    def forward(self, tensors):
        return {"toy.out": interpolate(tensors["x.values"], (4, 4), mode="bilinear", antialias=True)}


class Squared(nn.Module):
    def forward(self, tensors):
        return {"toy.out": tensors["x.values"] * tensors["x.values"]}


def a_graph(module, *axes, dtype="float32", out=(), ulps=16):
    spec = TensorSpec(dtype, ("batch", *axes), 0, 2**20)

    def draw(batch, sizes, generator):
        drawn = generator.integers(0, 2**20, (batch, *axes)) if dtype == "int64" else generator.random((batch, *axes))
        return {"x.values": drawn.astype(dtype)}

    outputs = {"toy.out": TensorSpec(dtype, ("batch", *(out or axes)))}
    return Graph("toy", module.eval(), {"x.values": spec}, outputs, {}, draw, ulps)


def judged(graph, folder):
    exporter = OpenvinoExporter()
    exporter.write(graph, folder / "graph.xml")
    return judge(graph, make_cases(graph), *(exporter.open(graph, folder / "graph.xml") for _ in range(2)))


def test_weights_lie_in_a_second_file_in_full_precision(tmp_path):
    OpenvinoExporter().write(a_graph(Layer(), 3, out=[WEIGHTS // 3]), tmp_path / "graph.xml")
    assert {path.name for path in tmp_path.iterdir()} == {"graph.xml", "graph.bin"}
    stored = np.frombuffer((tmp_path / "graph.bin").read_bytes(), np.float32, count=WEIGHTS)
    assert np.array_equal(np.sort(stored), np.sort(Layer().linear.weight.detach().numpy().ravel()))


def test_a_resizing_whose_antialiasing_openvino_ignores_misses_parity(tmp_path):
    with pytest.raises(ParityError, match=r"toy, case 'one row, smallest', output 'toy\.out', row 0: differs from"):
        judged(a_graph(Shrunk(), 1, 16, 16, out=(1, 4, 4), ulps=256), tmp_path)


def test_whole_numbers_of_more_than_32_bits_which_openvino_cuts_off_miss_parity(tmp_path):
    with pytest.raises(ParityError, match=r"toy, case 'one row, smallest', output 'toy\.out', row 0: differs from"):
        judged(a_graph(Squared(), 3, dtype="int64"), tmp_path)


def test_a_file_that_openvino_cannot_read_is_an_error_that_names_the_graph(tmp_path):
    (tmp_path / "graph.xml").write_text("<net/>")
    with pytest.raises(ZooError, match=r"the graph 'toy' cannot be loaded by OpenVINO: .*; docs/runtimes\.md tells"):
        OpenvinoExporter().open(a_graph(Layer(), 3, out=[WEIGHTS // 3]), tmp_path / "graph.xml")


def test_what_fails_while_it_runs_is_an_error_that_names_the_graph(tmp_path):
    values = ops.parameter([-1, -1], np.float32)
    values.output(0).get_tensor().set_names({"x.values"})
    model = openvino.Model([ops.add(values, ops.transpose(values, [1, 0]))], [values])
    openvino.save_model(model, tmp_path / "graph.xml")
    run = OpenvinoExporter().open(a_graph(Layer(), 3), tmp_path / "graph.xml")
    with pytest.raises(ZooError, match="the graph 'toy' cannot be run by OpenVINO: "):
        run({"x.values": np.zeros((2, 3), np.float32)})


def test_facts_are_written_into_the_file_and_change_nothing_else_of_it(tmp_path):
    values = ops.parameter([-1, 3], np.float32)
    openvino.save_model(openvino.Model([ops.exp(values)], [values]), tmp_path / "graph.xml")
    before = (tmp_path / "graph.xml").read_text().splitlines()
    OpenvinoExporter().stamp(tmp_path / "graph.xml", {"modalzoo.graph": "encode", "modalzoo.spec": '{"a": 1}'})
    added = [line for line in (tmp_path / "graph.xml").read_text().splitlines() if line not in before]
    assert len(added) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"graph.xml", "graph.bin"}
    read = openvino.Core().read_model(tmp_path / "graph.xml")
    assert read.get_rt_info("modalzoo.spec").astype(str) == '{"a": 1}'


def test_importing_it_reports_nothing_and_leaves_nothing_in_the_home_folder(tmp_path):
    code = (
        "import sys, time\n"
        "sys.addaudithook(lambda event, about: event.startswith('socket.') and print(event, about))\n"
        "import zoo_openvino.exporter\n"
        "print('openvino_telemetry' in sys.modules)\n"
    )
    env = {**os.environ, "HOME": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert said == "False\n"
    assert list(tmp_path.iterdir()) == []


def test_an_entry_is_exported_and_served_by_the_commands_without_torch_and_onnxruntime(tmp_path, monkeypatch):
    bundle = str(tmp_path / "bundle")
    export = ["zoo", "export", "text-autoencoder", "--to", "openvino", "--graph", "encode_caption", "--out", bundle]
    monkeypatch.setattr(sys, "argv", export)
    main()
    for command in (
        ["run", bundle, "encode_caption", "-i", "caption=red heart", "--json"],
        ["parity", bundle, "--json"],
    ):
        done = subprocess.run([sys.executable, "-c", SERVED, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "encode_caption" in done.stdout
    Path(bundle, "encode_caption.bin").write_bytes(b"")
    done = subprocess.run([sys.executable, "-c", SERVED, "parity", bundle], capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "encode_caption.bin" in done.stderr
