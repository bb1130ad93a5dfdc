"""An honest runner passes the parity contract; each planted fault misses it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo_toy.judged import runner, summary

from zoo.errors import ParityError, ZooError
from zoo.exporting.judging import at_precision, judge, make_cases
from zoo.parity.precisions import PRECISIONS
from zoo.parity.regimes import with_padding
from zoo.protocols import Graph, TensorSpec


@pytest.fixture
def graph():
    return summary()


def nan_swallowed(arrays):
    return {name: np.nan_to_num(array) for name, array in runner()(arrays).items()}


def batch_frozen(arrays):
    return {name: np.resize(array[:2], (2, 4)) for name, array in runner()(arrays).items()}


def length_frozen(arrays):
    return runner()({name: array[:, :5] for name, array in arrays.items()})


def output_renamed(arrays):
    return {name.removeprefix("toy."): array for name, array in runner()(arrays).items()}


def float16_inside(arrays):
    return {name: array.astype(np.float16).astype(np.float32) for name, array in runner()(arrays).items()}


def zeros_inverted(arrays):
    return {name: np.where(array == 0, np.float32(1e-9), array) for name, array in runner()(arrays).items()}


CHANGES = (
    "wrong constant",
    "slightly off",
    "wrong axis",
    "padding leak",
    "mask ignored",
    "rows see each other",
    "one long row goes wrong",
    "wrong dtype",
    "outputs swapped",
)


RUNNERS = (nan_swallowed, batch_frozen, length_frozen, output_renamed, float16_inside, zeros_inverted)


def test_an_honest_runner_passes(graph):
    verdict = judge(graph, make_cases(graph), runner(), runner())
    assert verdict.worst.used < 1
    assert verdict.parity().parity_ulps == 16
    assert verdict.cases == len(make_cases(graph)) + sum(
        with_padding(graph.inputs, graph.axes, case.inputs) is not None for case in make_cases(graph)
    )


def test_a_miss_where_torch_is_finite_names_the_file(graph):
    with pytest.raises(ParityError, match="the fault is here") as caught:
        judge(
            graph,
            make_cases(graph),
            runner("slightly off"),
            runner("slightly off"),
            explain=lambda _: "the fault is here",
        )
    assert "itself" not in str(caught.value)


@pytest.mark.parametrize("change", CHANGES)
def test_a_fault_in_the_computation_is_caught(change, graph):
    with pytest.raises(ParityError, match=r"^toy, case '"):
        judge(graph, make_cases(graph), runner(change), runner(change))


@pytest.mark.parametrize("faulty", RUNNERS, ids=lambda faulty: faulty.__name__)
def test_a_fault_of_the_runner_is_caught(faulty, graph):
    with pytest.raises(ParityError, match=r"^toy, case '"):
        judge(graph, make_cases(graph), faulty, faulty)


def test_a_file_that_loads_otherwise_each_time_is_caught(graph):
    def nearly(arrays):
        return {name: np.nextafter(array, np.float32(9)) for name, array in runner()(arrays).items()}

    with pytest.raises(ParityError, match=r"two loads of the file give other bits in 'toy.mean'"):
        judge(graph, make_cases(graph), runner(), nearly)


def cannot_run(arrays):
    raise ZooError("the runtime gave up")


def test_a_file_that_cannot_be_run_misses(graph):
    with pytest.raises(ParityError, match=r"^toy, case 'one row, smallest': the file cannot be run: the runtime gave"):
        judge(graph, make_cases(graph), cannot_run, cannot_run)


def test_on_a_miss_the_inputs_are_explained(graph):
    looked_at = []

    def explain(inputs):
        looked_at.append(inputs["x.values"].shape)
        return "It is the mean."

    with pytest.raises(ParityError, match=r"'one row, smallest, padded', output 'toy.mean', .*\. It is the mean\.$"):
        judge(graph, make_cases(graph), runner("padding leak"), runner("padding leak"), explain=explain)
    assert looked_at == [(1, 4, 4)]


def test_a_graph_that_states_more_ulps_may_lie_further_off(graph):
    looser = replace(graph, parity_ulps=4096, parity_reason="a toy")
    with pytest.raises(ParityError):
        judge(graph, make_cases(graph), runner("slightly off"), runner("slightly off"))
    verdict = judge(looser, make_cases(looser), runner("slightly off"), runner("slightly off"))
    assert (verdict.parity_ulps, verdict.parity_reason) == (4096, "a toy")


def halved_in_precision(arrays):
    """Answers with 8 bits of mantissa less, as those of a smaller number format are."""
    return {name: (array * (1 + 2.0**-10)).astype(np.float32) for name, array in runner()(arrays).items()}


def test_a_file_of_fewer_bits_is_held_to_what_its_precision_states(graph):
    with pytest.raises(ParityError, match="differs from float64 by"):
        judge(graph, make_cases(graph), halved_in_precision, halved_in_precision)
    verdict = judge(graph, make_cases(graph), halved_in_precision, halved_in_precision, PRECISIONS["fp16"])
    assert 0 < verdict.worst.used < 1


def test_a_file_of_fewer_bits_is_not_judged_on_extreme_values(graph):
    judged = {case.name for case in at_precision(make_cases(graph), PRECISIONS["int8"])}
    left_out = {case.name for case in make_cases(graph)} - judged
    assert {"x.values × 100", "x.values × 1e-6", "one NaN in x.values"} <= left_out
    assert {"one row, smallest", "zeros", "one row of x.mask false"} < judged


@pytest.mark.parametrize("change", ["padding leak", "mask ignored", "outputs swapped"])
def test_a_fault_is_caught_at_a_reduced_precision_too(change, graph):
    with pytest.raises(ParityError, match=r"^toy, case '"):
        judge(graph, make_cases(graph), runner(change), runner(change), PRECISIONS["int8"])


class Choice(nn.Module):
    """The place of the larger of two numbers, the second of which is moved by ``lead``."""

    def __init__(self, lead: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.lead = lead

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        lead = torch.tensor([0, self.lead], dtype=self.weight.dtype)
        return {"toy.choice": ((1 + tensors["x.value"].abs() + lead) * self.weight).argmax(dim=1)}


def judge_a_choice(lead):
    """Judge a runner that always chooses the first, where the second leads."""
    graph = Graph(
        "toy",
        Choice(lead).eval(),
        {"x.value": TensorSpec("float32", ("batch", 1), 0, 1)},
        {"toy.choice": TensorSpec("int64", ("batch",), 0, 1)},
        {},
        lambda batch, sizes, generator: {"x.value": generator.random((batch, 1), dtype=np.float32)},
    )

    def first(arrays):
        return {"toy.choice": np.zeros(len(arrays["x.value"]), dtype=np.int64)}

    return judge(graph, make_cases(graph), first, first)


def test_of_two_that_all_but_tie_either_may_be_chosen():
    assert judge_a_choice(2.0**-22).worst.used <= 1


def test_a_choice_that_the_weights_decide_must_be_made():
    with pytest.raises(
        ParityError, match=r"output 'toy.choice', row 0: differs from float64 by 1, allowed is 1.91e-06"
    ):
        judge_a_choice(2.0**-12)
