"""A fault in a file is named by the first value that it changes, the operation that computes it, and its place."""

import time

import numpy as np
import onnx
import pytest
import torch
from planted.file import File
from torch import Tensor, nn
from zoo_onnx.bisection import first_fault
from zoo_onnx.exporter import OnnxExporter

from zoo import Axis, Graph, TensorSpec
from zoo.catalogue.registry import own_registry, read_registry
from zoo.catalogue.targets import fetch_entry
from zoo.discovery.plugins import installed
from zoo.errors import ParityError
from zoo.exporting.bundle import export
from zoo.exporting.judging import make_cases
from zoo.models.checkpoint import load
from zoo.runtime.records import Origin


class Tower(nn.Module):
    """Two layers, the masked mean, and a number of words."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 6), nn.LayerNorm(6))

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        mask = tensors["x.mask"].unsqueeze(-1).to(tensors["x.values"].dtype)
        features = self.layers(tensors["x.values"]) * mask
        return {"toy.mean": features.sum(1) / mask.sum(1).clamp(min=1), "toy.words": tensors["x.mask"].sum(1)}


def draw(batch, sizes, generator):
    length = sizes["x.length"]
    mask = np.arange(length) < generator.integers(1, length + 1, size=(batch, 1))
    values = generator.standard_normal((batch, length, 4), dtype=np.float32)
    return {"x.values": values * mask[..., None], "x.mask": mask}


@pytest.fixture(scope="module")
def graph():
    return Graph(
        "toy",
        Tower().eval(),
        {
            "x.values": TensorSpec("float32", ("batch", "x.length", 4)),
            "x.mask": TensorSpec("bool", ("batch", "x.length")),
        },
        {"toy.mean": TensorSpec("float32", ("batch", 6)), "toy.words": TensorSpec("int64", ("batch",), 0, 8)},
        {"x.length": Axis(1, 8, padded=True)},
        draw,
    )


@pytest.fixture
def inputs(graph):
    return graph.draw(3, {"x.length": 5}, np.random.default_rng(1))


@pytest.fixture
def found_in(graph, exporter, written, inputs, tmp_path):
    """Plant a fault in a copy of the file and return the sentence about it."""

    def find(*spoils, **changed):
        file = File(onnx.load(written))
        for spoil in spoils:
            spoil(file)
        onnx.save(file.model, tmp_path / "spoilt.onnx")
        return first_fault(exporter.traces(graph), graph, tmp_path / "spoilt.onnx", {**inputs, **changed})

    return find


def other_gelu(file):
    file.set(file.node("Gelu"), approximate="tanh")


def other_epsilon(file):
    file.set(file.node("LayerNormalization"), epsilon=0.1)


def other_bias(file):
    file.put("layers.2.bias", file.array("layers.2.bias") + 1e-3)


def other_masked_places(file):
    """Add one to the features of all places that are masked; the mask takes them out right behind."""
    mask = file.make(file.user("layer_norm", "Mul"), "Unsqueeze", "x.mask", file.constant(np.array([-1])))
    raised = file.make(file.node("Mul"), "Where", mask, file.constant(np.float32(0)), file.constant(np.float32(1)))
    file.feed(file.node("Mul"), 0, file.make(file.node("Mul"), "Add", "layer_norm", raised))


def one_word_more(file):
    file.after("toy.words", "Add", file.constant(np.array(1)))


def no_nan(file):
    gelu = file.node("Gelu")
    broken = file.make(gelu, "IsNaN", gelu.input[0])
    file.feed(gelu, 0, file.make(gelu, "Where", broken, file.constant(np.float32(0)), gelu.input[0]))


def kept_axis(file):
    file.set(next(node for node in file.graph.node if "sum_1" in node.output), keepdims=1)


def frozen_batch(file):
    gelu = file.node("Gelu")
    file.feed(gelu, 0, file.make(gelu, "Reshape", gelu.input[0], file.constant(np.array([2, 5, 6]))))


def noise(file):
    behind = file.node("LayerNormalization")
    drawn = file.make(behind, "RandomNormalLike", "linear_1", scale=3e-8)
    file.feed(behind, 0, file.make(behind, "Add", "linear_1", drawn))


def float64(file):
    file.after("toy.mean", "Cast", to=onnx.TensorProto.DOUBLE)
    file.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE


def other_name(file):
    file.maker("toy.mean").output[0] = "average"
    file.graph.output[0].name = "average"


def test_no_value_of_an_honest_file_differs_on_any_case(graph, exporter, written):
    for case in make_cases(graph):
        found = first_fault(exporter.traces(graph), graph, written, case.inputs)
        assert not found.value, f"{case.name}: {found}"


def test_a_wrong_operation_is_named_with_its_module_and_its_inputs(found_in):
    text = str(found_in(other_gelu))
    expected = "The first value that differs from torch is 'gelu' (aten.gelu.default, in layers.1), made by Gelu of "
    assert text.startswith(f"{expected}'linear': max error "), text
    assert ", allowed is " in text


def test_of_two_faults_the_earlier_is_named(found_in):
    assert found_in(other_gelu, other_epsilon).value == "gelu"


def test_a_wrong_weight_is_named_itself(found_in):
    text = str(found_in(other_bias))
    expected = "The first value that differs from torch is 'module.layers.2.bias' (a weight): max error 0.001"
    assert text.startswith(expected), text


def test_a_difference_that_changes_no_answer_is_not_the_fault(found_in):
    assert not found_in(other_masked_places).value
    assert found_in(other_masked_places, one_word_more).value == "toy.words"


def test_whole_numbers_that_differ_are_counted(found_in):
    text = str(found_in(one_word_more))
    assert text.startswith("The first value that differs from torch is 'toy.words' (aten.sum.dim_IntList)"), text
    assert text.endswith("3 of 3 differ")


def test_nan_that_is_lost_is_told(found_in, inputs):
    values = inputs["x.values"].copy()
    values[0, 0, 0] = np.nan
    found = found_in(no_nan, **{"x.values": values})
    assert (found.value, found.problem) == ("gelu", "NaN or infinity is in other places than in torch")


def test_another_shape_is_told(found_in):
    found = found_in(kept_axis)
    assert (found.value, found.problem) == ("sum_1", "its shape is (3, 1, 6), torch's is (3, 6)")


def test_where_a_file_stops_the_first_value_that_is_missing_is_named(found_in):
    text = str(found_in(frozen_batch))
    assert text.startswith(
        "The first value that differs from torch is 'gelu' (aten.gelu.default, in layers.1), made by "
    )
    assert text.endswith("the file stops at its node 'planted_node_2'")


def test_where_a_file_stops_what_differs_before_is_named(found_in):
    assert found_in(frozen_batch, other_bias).value == "module.layers.2.bias"


def test_a_value_that_is_another_each_time_is_named(found_in):
    found = found_in(noise)
    assert (found.value, found.problem) == ("layer_norm", "it differs from run to run")


def test_an_answer_of_another_dtype_is_told(found_in):
    found = found_in(float64)
    assert (found.value, found.problem) == ("toy.mean", "it is float64, float32 was declared")


def test_a_missing_answer_is_told(found_in):
    found = found_in(other_name)
    assert (found.value, found.problem) == ("toy.mean", "the file has no such output")


def test_a_file_without_fault_is_called_so(graph, exporter, written, inputs):
    text = exporter.first_fault(graph, written, inputs)
    assert text.startswith("Each value of the file agrees with torch when it is looked at: the fault lies in op")


def test_a_graph_that_was_not_written_last_is_traced_again(graph, written, inputs):
    assert OnnxExporter().first_fault(graph, written, inputs).startswith("Each value of the file agrees with torch")


def test_the_search_takes_less_than_a_second(graph, exporter, written, inputs):
    start = time.perf_counter()
    exporter.first_fault(graph, written, inputs)
    assert time.perf_counter() - start < 1


class Spoiling(OnnxExporter):
    """An exporter whose files compute GELU by tanh."""

    def write(self, graph, path):
        super().write(graph, path)
        file = File(onnx.load(path))
        other_gelu(file)
        onnx.save(file.model, path)


@pytest.mark.verify
def test_a_miss_of_an_export_tells_where_the_fault_lies(tmp_path):
    checkpoint = load(fetch_entry(read_registry(own_registry())["fashion-joint"], installed()))
    expected = (
        r"differs from float64 by .* The first value that differs from torch is 'gelu' \(aten\.gelu\.default, in "
    )
    with pytest.raises(ParityError, match=expected):
        export(checkpoint, Spoiling(), tmp_path / "bundle", origin=Origin("toy"), graphs=["encode_caption"])
    assert not list(tmp_path.iterdir())
