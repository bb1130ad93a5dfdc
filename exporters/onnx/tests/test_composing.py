"""A graph of several stages is one file of their files: same answers, same names, nothing traced again."""

import numpy as np
import onnx
import pytest
import torch
from planted.file import File
from torch import Tensor, nn

from zoo import Graph, TensorSpec
from zoo.exporting.judging import judge, make_cases
from zoo.models.graphs import translate_graph

ROW = TensorSpec("float32", ("batch", 4))


class Encode(nn.Module):
    """Pixels to a latent, and to a mean that nothing else needs."""

    def __init__(self, table: nn.Linear):
        super().__init__()
        self.layers = nn.Sequential(table, nn.GELU())
        self.mean = nn.Linear(4, 4)

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        features = self.layers(tensors["a.pixels"])
        return {"encode_a.latent": features, "encode_a.mean": self.mean(features)}


class Decode(nn.Module):
    """A latent to pixels, by the layer that the encoder has, too."""

    def __init__(self, table: nn.Linear):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 4), nn.GELU(), table)

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"decode_b.pixels": self.layers(tensors["latent"])}


def draws(name):
    return lambda batch, sizes, generator: {name: generator.standard_normal((batch, 4), dtype=np.float32)}


@pytest.fixture(scope="module")
def graph():
    torch.manual_seed(0)
    table = nn.Linear(4, 4)
    outputs = {"encode_a.latent": ROW, "encode_a.mean": ROW}
    encode = Graph("encode_a", Encode(table).eval(), {"a.pixels": ROW}, outputs, {}, draws("a.pixels"))
    decode = Graph("decode_b", Decode(table).eval(), {"latent": ROW}, {"decode_b.pixels": ROW}, {}, draws("latent"))
    return translate_graph("a", "b", encode, decode)


def test_it_computes_what_the_whole_module_does(graph, exporter, written):
    runners = [exporter.open(graph, written) for _ in range(2)]
    assert judge(graph, make_cases(graph), *runners).worst.used <= 1


def test_what_no_answer_needs_is_left_out_and_a_shared_weight_is_there_once(graph, written):
    model = onnx.load(written)
    onnx.checker.check_model(model, full_check=True)
    names = [tensor.name for tensor in model.graph.initializer if tensor.name.startswith("module.")]
    assert sorted(names) == [
        "module.decode.layers.0.bias",
        "module.decode.layers.0.weight",
        "module.encode.layers.0.bias",
        "module.encode.layers.0.weight",
    ]
    assert {name.removeprefix("module.") for name in names} <= set(graph.module.state_dict())


def test_a_stage_that_was_translated_is_not_translated_again(graph, exporter, written, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.onnx, "export", None)
    exporter.write(translate_graph("a", "b", *(stage.graph for stage in graph.stages)), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == written.read_bytes()


@pytest.mark.parametrize(("place", "value"), [(0, "encode_a.latent"), (1, "decode.gelu")])
def test_a_fault_is_named_by_its_stage(graph, exporter, written, tmp_path, place, value):
    file = File(onnx.load(written))
    file.set(file.node("Gelu", place), approximate="tanh")
    onnx.save(file.model, tmp_path / "spoilt.onnx")
    text = exporter.first_fault(graph, tmp_path / "spoilt.onnx", graph.draw(3, {}, np.random.default_rng(1)))
    expected = (
        f"The first value that differs from torch is {value!r} (aten.gelu.default, in layers.1), made by Gelu of "
    )
    assert text.startswith(expected), text


def test_a_wrong_weight_is_named_as_in_the_whole(graph, exporter, written, tmp_path):
    file = File(onnx.load(written))
    file.put("decode.layers.0.bias", file.array("decode.layers.0.bias") + 1e-3)
    onnx.save(file.model, tmp_path / "spoilt.onnx")
    text = exporter.first_fault(graph, tmp_path / "spoilt.onnx", graph.draw(3, {}, np.random.default_rng(1)))
    assert text.startswith("The first value that differs from torch is 'module.decode.layers.0.bias' (a weight)"), text


def test_an_honest_file_has_no_fault(graph, exporter, written):
    for case in make_cases(graph):
        text = exporter.first_fault(graph, written, case.inputs)
        assert text.startswith("Each value of the file agrees with torch when it is looked at"), text
