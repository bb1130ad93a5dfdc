"""NaN and infinity are kept, operation by operation, in a model that the CPU plugin runs."""

import numpy as np
import pytest
import torch
from zoo_openvino.importing import openvino, ops
from zoo_openvino.special_values import keep_special_values

NAN, INF = np.nan, np.inf
ROWS = np.array(
    [[NAN, 1, 2, 3], [1, 2, NAN, 3], [INF, 1, 2, 3], [1, -INF, 2, 3], [-1, 0, 1, 2], [NAN] * 4], dtype=np.float32
)
INFINITIES = np.array([[-INF] * 4, [INF] * 4, [-INF, INF, 1, 2], [-INF, 1, 2, 3]], dtype=np.float32)
ONE = ops.constant(np.float32(1))
AXIS = ops.constant([1])
OPERATIONS = {
    "Relu": (ops.relu, torch.relu),
    "Exp": (ops.exp, torch.exp),
    "Clamp": (lambda x: ops.clamp(x, -0.5, 1.5), lambda x: x.clamp(-0.5, 1.5)),
    "Maximum": (lambda x: ops.maximum(x, ONE), lambda x: x.maximum(torch.ones(()))),
    "Minimum": (lambda x: ops.minimum(x, ONE), lambda x: x.minimum(torch.ones(()))),
    "ReduceMax": (lambda x: ops.reduce_max(x, AXIS, keep_dims=True), lambda x: x.amax(1, keepdim=True)),
    "ReduceMin": (lambda x: ops.reduce_min(x, AXIS), lambda x: x.amin(1)),
    "Softmax": (lambda x: ops.softmax(x, 1), lambda x: x.softmax(1)),
    "LogSoftmax": (lambda x: ops.log_softmax(x, -1), lambda x: x.log_softmax(-1)),
}


def a_model(operation, kind=np.float32):
    rows = ops.parameter([-1, 4], kind, name="rows")
    made = operation(rows)
    made.output(0).get_tensor().set_names({"made"})
    return openvino.Model([made], [rows])


def run(model, rows):
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return openvino.Core().compile_model(model, "CPU", settings)([rows])["made"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_nan_stays_where_torch_has_it_and_all_else_as_it_was(name):
    in_openvino, in_torch = OPERATIONS[name]
    model = a_model(in_openvino)
    keep_special_values(model)
    np.testing.assert_allclose(run(model, ROWS), in_torch(torch.from_numpy(ROWS)).numpy(), rtol=1e-6)


@pytest.mark.parametrize("name", ["Relu", "Exp", "Clamp", "Maximum", "Minimum", "ReduceMax", "Softmax", "LogSoftmax"])
def test_openvino_still_loses_nan_so_that_it_must_be_kept(name):
    in_openvino, in_torch = OPERATIONS[name]
    expected = np.isnan(in_torch(torch.from_numpy(ROWS)).numpy())
    assert not np.array_equal(np.isnan(run(a_model(in_openvino), ROWS)), expected)


@pytest.mark.parametrize("name", ["ReduceMax", "ReduceMin"])
def test_the_largest_and_the_smallest_of_infinities_alone_are_infinite(name):
    in_openvino, in_torch = OPERATIONS[name]
    expected = in_torch(torch.from_numpy(INFINITIES)).numpy()
    model = a_model(in_openvino)
    assert not np.array_equal(run(model, INFINITIES), expected)
    keep_special_values(model)
    np.testing.assert_array_equal(run(model, INFINITIES), expected)


def test_whole_numbers_are_left_alone():
    model = a_model(lambda x: ops.maximum(x, ops.constant(np.int64(1))), np.int64)
    before = len(model.get_ordered_ops())
    keep_special_values(model)
    assert len(model.get_ordered_ops()) == before


def test_all_that_read_an_operation_read_what_is_kept():
    model = a_model(lambda x: ops.add(relu := ops.relu(x), ops.negative(relu)))
    keep_special_values(model)
    assert np.isnan(run(model, ROWS)[0, 0])
    assert run(model, ROWS)[4].tolist() == [0, 0, 0, 0]
