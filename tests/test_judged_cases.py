"""The cases that a graph is judged on: corners of sizes and values, gaps, padding, drawn from a seed."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from zoo_toy.judged import draw, summary

from zoo.exporting.judging import make_cases
from zoo.parity.regimes import extreme, sizes_of, with_padding
from zoo.protocols import TensorSpec


@pytest.fixture
def graph():
    return summary()


def test_judging_leaves_a_module_in_the_mode_that_it_was_in(graph):
    make_cases(replace(graph, module=graph.module.train()))
    assert graph.module.training
    assert torch.is_grad_enabled()


def test_the_cases_hold_the_corners_of_sizes_and_values(graph):
    cases = {case.name: case for case in make_cases(graph)}
    assert cases["one row, smallest"].inputs["x.values"].shape == (1, 1, 4)
    assert cases["one row, largest"].inputs["x.values"].shape == (1, 8, 4)
    assert not cases["zeros"].inputs["x.mask"].any()
    assert np.isnan(cases["one NaN in x.values"].inputs["x.values"]).sum() == 1
    assert sorted(cases["two infinities in x.values"].inputs["x.values"][1:3, 0, 0]) == [-np.inf, np.inf]
    assert not cases["one row of x.mask false"].inputs["x.mask"][1].any()
    assert {"x.values × 100", "x.values × 1e-6"} < set(cases)
    assert len({case.inputs["x.values"].shape for case in cases.values()}) >= 6


def test_what_stands_in_a_gap_is_as_disturbing_as_can_be(graph):
    gappy = replace(
        graph,
        inputs={
            **graph.inputs,
            "x.ids": TensorSpec("int64", ("batch",), 0, 7),
            "x.present": TensorSpec("bool", ("batch",), 0, 1),
        },
        outputs={},
        draw=lambda *arguments: {**draw(*arguments), "x.ids": np.zeros(4, np.int64), "x.present": np.ones(4, bool)},
    )
    gaps = {name: inputs for name, inputs in extreme(gappy, np.random.default_rng(0)) if name.startswith("a gap")}
    inputs = gaps["a gap of x full of numbers"]
    assert inputs["x.present"].tolist() == [True, False, True, True]
    assert np.isnan(inputs["x.values"][1]).all()
    assert np.isfinite(inputs["x.values"][[0, 2, 3]]).all()
    assert inputs["x.mask"][1].all()
    assert inputs["x.ids"].tolist() == [0, 7, 0, 0]


def test_the_cases_follow_from_their_seed(graph):
    first, again, other = make_cases(graph), make_cases(graph), make_cases(graph, seed=1)
    assert all(
        np.array_equal(one.inputs["x.values"], two.inputs["x.values"], equal_nan=True)
        for one, two in zip(first, again, strict=True)
    )
    assert not np.array_equal(first[0].inputs["x.values"], other[0].inputs["x.values"])


def test_the_reference_is_the_module_in_float64_and_the_module_stays_as_it_is(graph):
    before = copy.deepcopy(graph.module.state_dict())
    case = make_cases(graph)[0]
    assert case.expected["toy.mean"].dtype == np.float64
    assert all(torch.equal(graph.module.state_dict()[name], tensor) for name, tensor in before.items())
    assert graph.module.linear.weight.dtype == torch.float32


def test_padding_appends_zeros_to_what_is_padded_and_nothing_beyond_the_bounds(graph):
    inputs = draw(2, {"x.length": 4}, np.random.default_rng(0))
    padded = with_padding(graph.inputs, graph.axes, inputs)
    assert sizes_of(graph.inputs, padded) == {"batch": 2, "x.length": 7, 4: 4}
    assert np.array_equal(padded["x.values"][:, :4], inputs["x.values"])
    assert not padded["x.values"][:, 4:].any()
    assert not padded["x.mask"][:, 4:].any()
    assert with_padding(graph.inputs, graph.axes, draw(2, {"x.length": 7}, np.random.default_rng(0))) is None
