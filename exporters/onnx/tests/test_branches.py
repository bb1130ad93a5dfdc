"""A module that goes another way at another size is refused, and the line that decides is named."""

import functools

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo_onnx.exporter import OnnxExporter

from zoo import Axis, Graph, TensorSpec, ZooError
from zoo.errors import ParityError
from zoo.exporting.judging import judge, make_cases, opened_twice


class Mean(nn.Module):
    """The mean over a sequence, through one layer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 3)

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"toy.mean": self.mean(tensors["x.values"])}

    def mean(self, values):
        return self.layer(values.mean(1))


class OneRow(Mean):
    def mean(self, values):
        if len(values) == 1:
            return self.layer(values.mean(1)) * 2
        return self.layer(values.mean(1))


class Long(Mean):
    def mean(self, values):
        long = values.shape[1] > 6
        if long:
            return self.layer(values[:, :6].mean(1))
        return self.layer(values.mean(1))


class PlaceByPlace(Mean):
    def mean(self, values):
        total = torch.zeros_like(values[:, 0])
        for place in range(values.shape[1]):
            total = total + values[:, place]
        return self.layer(total)


class Third(Mean):
    def mean(self, values):
        if values.shape[1] < 3:
            return self.layer(values.mean(1))
        return self.layer(values[:, 2])


class OneLine(Mean):
    def mean(self, values):
        return self.layer(values.mean(1)) * (2 if len(values) == 1 else 1)


class Squeezed(Mean):
    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"toy.mean": self.layer(tensors["x.values"].mean(1)).squeeze(0).reshape(-1, 3)}


class DropsTheBatch(Mean):
    def mean(self, values):
        return self.layer(values.mean(1).squeeze(0))


class TwoRowsAlone(Mean):
    def mean(self, values):
        return self.layer(values.mean(1)).reshape(2, 3)


class ByValue(Mean):
    def mean(self, values):
        if values.sum() > 0:
            return self.layer(values.mean(1))
        return self.layer(values.sum(1))


def draw(batch, sizes, generator):
    return {"x.values": generator.standard_normal((batch, sizes["x.length"], 4), dtype=np.float32)}


def graph_of(module):
    return Graph(
        "toy",
        module.eval(),
        {"x.values": TensorSpec("float32", ("batch", "x.length", 4))},
        {"toy.mean": TensorSpec("float32", ("batch", 3))},
        {"x.length": Axis(1, 8)},
        draw,
    )


@pytest.fixture
def refused(tmp_path):
    """Write and judge a module as an export does; return the message of its refusal."""

    def exported(module):
        graph, exporter, path = graph_of(module), OnnxExporter(), tmp_path / "graph.onnx"
        cases = make_cases(graph)
        exporter.write(graph, path)
        explain = functools.partial(exporter.first_fault, graph, path)
        judge(graph, cases, *opened_twice(graph, path, exporter), explain=explain)

    def refuse(module, error=ParityError):
        with pytest.raises(error) as raised:
            exported(module)
        return str(raised.value)

    return refuse


@pytest.mark.parametrize(
    ("module", "line"),
    [
        (OneRow(), "in mean (`if len(values) == 1:`)"),
        (Long(), "in mean (`if long:`)"),
        (
            PlaceByPlace(),
            "in mean (`for place in range(values.shape[1]):`)",
        ),
        (Squeezed(), 'in forward (`return {"toy.mean": self.layer(tensors["x.values"].mean(1)).squeeze(0)'),
    ],
    ids=["rows", "length", "loop", "squeeze"],
)
def test_the_line_that_decides_by_a_size_is_named(refused, module, line):
    text = refused(module)
    assert "A branch on a size was frozen at test_branches.py, line " in text
    assert line in text


def test_tracing_that_binds_an_axis_tells_which(refused):
    assert "tracing bound axis 1 of 'x.values' to 5. A branch on a size was frozen" in refused(PlaceByPlace())


def test_a_branch_within_a_line_is_told_without_the_line(refused):
    assert "A branch on a size was frozen: the module goes another way" in refused(OneLine())


def test_a_module_that_drops_the_batch_is_told_by_its_shape(refused):
    text = refused(DropsTheBatch())
    assert (
        "toy, case 'one row, smallest', torch itself, on x.values (1, 1, 4): the output 'toy.mean' has shape (3,)"
        in text
    )
    assert "declared are the axes ('batch', 3), the batch is 1" in text


def test_a_module_that_torch_cannot_run_at_a_size_is_told_with_the_size(refused):
    text = refused(TwoRowsAlone())
    assert "torch itself, on x.values (1, 1, 4): the module cannot be run: shape '[2, 3]' is invalid" in text


def test_a_trace_that_does_not_run_at_a_size_is_a_frozen_branch(refused):
    assert "A branch on a size was frozen at test_branches.py, line " in refused(Third())


def test_a_branch_on_values_is_told_with_its_line_and_nothing_is_printed(refused, capfd):
    text = refused(ByValue(), ZooError)
    assert "the graph 'toy' cannot be exported to ONNX: Could not guard on data-dependent expression" in text
    assert " of mean; replace that operation" in text
    assert capfd.readouterr() == ("", "")


def test_a_file_that_does_not_load_is_a_miss_of_parity(tmp_path):
    graph, exporter, path = graph_of(Mean()), OnnxExporter(), tmp_path / "graph.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(ParityError, match=r"toy: the file that the exporter wrote cannot be loaded: .*squeeze"):
        opened_twice(graph, path, exporter)
