"""Files of fewer bits: smaller, and within the tolerance of their precision."""

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from zoo_onnx.exporter import OnnxExporter
from zoo_onnx.reducing import _block

from zoo import Graph, TensorSpec, UsageError
from zoo.exporting.judging import judge, make_cases
from zoo.parity.precisions import PRECISIONS

WIDTH = 64


class Products(nn.Module):
    """A convolution, a product of matrices and a table."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv1d(4, WIDTH, 3, padding=1)
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.table = nn.Embedding(WIDTH, WIDTH)

    def forward(self, tensors):
        features = self.convolution(tensors["sound"]).relu().mean(-1) + self.table(tensors["word"])
        return {"made.features": self.linear(features)}


def draw(batch, sizes, generator):
    sound = generator.standard_normal((batch, 4, 16), dtype=np.float32)
    return {"sound": sound, "word": generator.integers(0, WIDTH, batch)}


GRAPH = Graph(
    "made",
    Products().eval(),
    {"sound": TensorSpec("float32", ("batch", 4, 16)), "word": TensorSpec("int64", ("batch",), 0, WIDTH - 1)},
    {"made.features": TensorSpec("float32", ("batch", WIDTH))},
    {},
    draw,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The path of the graph in float32, with its weights inside."""
    path = tmp_path_factory.mktemp("written") / "made.onnx"
    OnnxExporter().write(GRAPH, path)
    return path


def reduce(written, precision, folder):
    target = folder / f"made.{precision}.onnx"
    calibration = [draw(8, {}, np.random.default_rng(seed)) for seed in range(8)]
    OnnxExporter().reduce(written, target, precision, calibration)
    return target


@pytest.mark.parametrize("precision", OnnxExporter().precisions)
def test_a_reduced_file_is_smaller_and_within_its_tolerance(precision, written, tmp_path):
    path = reduce(written, precision, tmp_path)
    assert path.stat().st_size < 0.8 * written.stat().st_size
    first, second = (OnnxExporter().open(GRAPH, path) for _ in range(2))
    assert judge(GRAPH, make_cases(GRAPH), first, second, PRECISIONS[precision]).worst.used <= 1


@pytest.mark.parametrize("precision", OnnxExporter().precisions)
def test_a_reduced_file_has_the_same_bytes_each_time_and_no_path(precision, written, tmp_path):
    contents = []
    for folder in (tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
        contents.append(reduce(written, precision, folder).read_bytes())
    assert contents[0] == contents[1]
    assert str(tmp_path).encode() not in contents[0]


def kinds(path):
    model = onnx.load(path)
    return Counter(node.op_type for node in model.graph.node), {t.name: t.data_type for t in model.graph.initializer}


def test_dynamic_int8_leaves_convolutions_alone(written, tmp_path):
    operators, _ = kinds(reduce(written, "int8", tmp_path))
    assert operators["Conv"] == 1
    assert operators["MatMulInteger"] == 1


def test_static_int8_takes_convolutions_and_products(written, tmp_path):
    _, weights = kinds(reduce(written, "int8-static", tmp_path))
    quantised = [name for name, dtype in weights.items() if dtype == onnx.TensorProto.INT8 and "weight" in name]
    assert len([name for name in quantised if "zero_point" not in name]) == 2


def test_eight_bit_weights_compute_in_float32(written, tmp_path):
    operators, weights = kinds(reduce(written, "int8-weights", tmp_path))
    assert list(weights.values()).count(onnx.TensorProto.INT8) == 3
    assert operators["Conv"] == 1
    assert not {"MatMulInteger", "QuantizeLinear"} & set(operators)


def test_a_graph_without_a_product_cannot_be_static(tmp_path):
    class Doubles(nn.Module):
        def forward(self, tensors):
            return {"made.features": tensors["sound"].sum(-1) * 2}

    graph = Graph(
        "made",
        Doubles(),
        {"sound": TensorSpec("float32", ("batch", 4, 16))},
        {"made.features": TensorSpec("float32", ("batch", 4))},
        {},
        lambda batch, sizes, generator: {"sound": generator.standard_normal((batch, 4, 16), dtype=np.float32)},
    )
    OnnxExporter().write(graph, tmp_path / "made.onnx")
    with pytest.raises(UsageError, match="made has no product with a weight that int8-static could take; leave this"):
        reduce(tmp_path / "made.onnx", "int8-static", tmp_path)


def written_of(module, inputs, features, folder):
    """Write a graph that takes rows of ``inputs`` numbers to rows of ``features``; return it and its path."""
    graph = Graph(
        "made",
        module.eval(),
        {"sound": TensorSpec("float32", ("batch", inputs))},
        {"made.features": TensorSpec("float32", ("batch", features))},
        {},
        lambda batch, sizes, generator: {"sound": generator.standard_normal((batch, inputs), dtype=np.float32)},
    )
    OnnxExporter().write(graph, folder / "made.onnx")
    return graph, folder / "made.onnx"


def test_half_precision_takes_sums_into_places_and_what_several_nodes_need_whole(tmp_path):
    class Sums(nn.Module):
        def forward(self, tensors):
            sound = tensors["sound"] * 2
            places = torch.arange(64) % 8
            summed = sound.new_zeros(sound.shape[0], 8).index_add(1, places, sound)
            return {"made.features": torch.maximum(summed, summed.flip(1)) + torch.maximum(summed, -summed)}

    graph, path = written_of(Sums(), 64, 8, tmp_path)
    half = reduce(path, "fp16", tmp_path)
    names = [name for node in onnx.load(half).graph.node for name in node.output]
    assert len(names) == len(set(names))
    first, second = (OnnxExporter().open(graph, half) for _ in range(2))
    assert judge(graph, make_cases(graph), first, second, PRECISIONS["fp16"]).worst.used <= 1


def test_weights_side_by_side_share_a_scale_with_few_others(tmp_path):
    class Uneven(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            sizes = 10.0 ** -torch.arange(4).repeat_interleave(32)
            self.weight = nn.Parameter(torch.randn(1, WIDTH, 128) * sizes)

        def forward(self, tensors):
            return {"made.features": torch.bmm(tensors["sound"].unsqueeze(0), self.weight).squeeze(0)}

    _, path = written_of(Uneven(), WIDTH, 128, tmp_path)
    model = onnx.load(reduce(path, "int8-weights", tmp_path))
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    (name,) = [name.removesuffix(".int8") for name in arrays if name.endswith(".int8")]
    expected = Uneven().weight.detach().numpy().reshape(-1, 32)
    error = np.abs(arrays[f"{name}.int8"] * arrays[f"{name}.scale"] - expected).max(1)
    assert (error <= np.abs(expected).max(1) / 253).all()


@pytest.mark.parametrize(
    ("shape", "size"), [((8, 64), 32), ((8, 28), 28), ((8, 7), 7), ((8, 641), 641), ((8, 3, 3, 3), 27)]
)
def test_a_scale_is_of_sixteen_to_thirty_two_numbers_where_a_row_can_be_parted_so(shape, size):
    assert _block(shape) == size
