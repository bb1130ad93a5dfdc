"""An honest runner passes the parity contract; each planted fault misses it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zoo.errors import ParityError, ZooError
from zoo.exporting.judging import at_precision, by_rounding, judge, make_cases
from zoo.parity.precisions import PRECISIONS
from zoo.parity.regimes import extreme, sizes_of, with_padding
from zoo.protocols import Axis, Graph, TensorSpec


class Summary(nn.Module):
    """The masked mean through a linear map, and the largest size; two outputs of one shape."""

    def __init__(self, change="") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 4)
        self.change = change

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        mask = tensors["x.mask"].unsqueeze(-1)
        values = torch.where(mask, tensors["x.values"], torch.zeros_like(tensors["x.values"]))
        count = mask.sum(1).clamp(min=1)
        if self.change == "padding leak":
            count = torch.full_like(count, values.shape[1])
        if self.change == "mask ignored":
            values, count = tensors["x.values"] + 1, torch.full_like(count, values.shape[1])
        total = values.sum(0 if self.change == "wrong axis" and values.shape[0] == values.shape[1] else 1)
        mean = self.linear(total / count)
        if self.change == "wrong constant":
            mean = mean + 1e-5
        if self.change == "slightly off":
            mean = mean * (1 + 1e-4)
        if self.change == "rows see each other":
            mean = mean + 1e-3 * total.mean()
        if self.change == "one long row goes wrong":
            mean = mean + (1e-3 if values.shape[1] == 8 else 0)
        top = values.abs().amax(1)
        if self.change == "wrong dtype":
            top = top.double()
        if self.change == "outputs swapped":
            mean, top = top, mean
        return {"toy.mean": mean, "toy.top": top}


def draw(batch, sizes, generator):
    length = sizes["x.length"]
    lengths = generator.integers(1, length + 1, size=(batch, 1))
    lengths[0] = length
    mask = np.arange(length) < lengths
    return {
        "x.values": generator.standard_normal((batch, length, 4), dtype=np.float32) * mask[..., None],
        "x.mask": mask,
    }


@pytest.fixture
def graph():
    return Graph(
        "toy",
        Summary().eval(),
        {
            "x.values": TensorSpec("float32", ("batch", "x.length", 4)),
            "x.mask": TensorSpec("bool", ("batch", "x.length")),
        },
        {name: TensorSpec("float32", ("batch", 4)) for name in ("toy.mean", "toy.top")},
        {"x.length": Axis(1, 8, padded=True)},
        draw,
    )


def test_judging_leaves_a_module_in_the_mode_that_it_was_in(graph):
    make_cases(replace(graph, module=graph.module.train()))
    assert graph.module.training
    assert torch.is_grad_enabled()


@torch.no_grad()
def run(module, arrays):
    return {name: out.numpy() for name, out in module({n: torch.from_numpy(a) for n, a in arrays.items()}).items()}


def runner(change=""):
    module = Summary(change).eval()
    return lambda arrays: run(module, arrays)


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


class Exponentials(nn.Module):
    """The largest number of each row, as the logarithm of a sum of exponentials."""

    def forward(self, values: Tensor) -> Tensor:
        return values.exp().sum(dim=-1).log()


class Overflowing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.largest = Exponentials()

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"toy.top": self.largest(tensors["x.values"])}


def of_numbers(module):
    def draw(batch, sizes, generator):
        return {"x.values": generator.uniform(1, 4, (batch, 3)).astype(np.float32)}

    values = {"x.values": TensorSpec("float32", ("batch", 3))}
    return Graph("toy", module, values, {"toy.top": TensorSpec("float32", ("batch",))}, {}, draw)


def test_a_miss_where_torch_itself_is_not_finite_names_the_module_and_the_input_and_not_the_file():
    module = Overflowing()
    explained = []
    with pytest.raises(ParityError) as caught:
        judge(
            of_numbers(module),
            make_cases(of_numbers(module)),
            lambda arrays: run(module, arrays),
            lambda arrays: run(module, arrays),
            explain=explained.append,
        )
    message = str(caught.value)
    assert message.startswith(
        "toy, case 'x.values × 100': torch in float32 is itself not finite here, so no file can be judged: the module "
        "'largest' (Exponentials) is the first to give inf where float64 gives "
    )
    assert "; the largest number of the input is 3" in message
    assert "in 'x.values'; write it in a form that float32 holds" in message
    assert not explained


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


def test_logarithms_near_zero_are_as_exact_as_those_near_one():
    class NearOne(nn.Module):
        def __init__(self, error=0.0):
            super().__init__()
            self.error = error

        def forward(self, tensors):
            return {"toy.top": ((tensors["x.values"].square().sum(-1)).log() - 3) * 1e-3 + self.error}

    plain = of_numbers(NearOne())
    stated = replace(plain, outputs={"toy.top": TensorSpec("float32", ("batch",), logarithm=True)})
    for error, agrees in ((1e-6, True), (4e-6, False)):
        for graph, expected in ((plain, False), (stated, agrees)):
            cases = [case for case in make_cases(graph) if not case.extreme and case.name != "zeros"]
            found = lambda arrays, error=error: run(NearOne(error), arrays)  # noqa: E731
            if expected:
                judge(graph, cases, found, found)
            else:
                with pytest.raises(ParityError, match="differs from float64"):
                    judge(graph, cases, found, found)


class Shrinking(nn.Module):
    """A share that falls with the sum of a row; its exponent is off by ``units`` of the last place and ``share``."""

    def __init__(self, units=0, share=0.0) -> None:
        super().__init__()
        self.units = units
        self.share = share

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        exponent = 4 * tensors["x.values"].sum(dim=-1) * (1 + self.share)
        for _ in range(self.units):
            exponent = torch.nextafter(exponent, torch.full_like(exponent, torch.inf))
        return {"toy.top": (-exponent).exp()}


def shrunk(**wrong):
    return lambda arrays: run(Shrinking(**wrong), arrays)


def test_a_row_in_which_torch_is_right_by_luck_may_be_off_by_what_rounding_on_the_way_costs():
    graph = of_numbers(Shrinking())
    verdict = judge(graph, make_cases(graph), shrunk(units=2), shrunk(units=2))
    assert verdict.worst.used <= 1
    assert "64 rows, smallest" in verdict.by_rounding
    assert verdict.parity().by_rounding == verdict.by_rounding


@pytest.mark.parametrize("share", [1e-4, 1e-5, -1e-5])
def test_more_than_rounding_costs_is_caught_in_such_a_row_too(share):
    graph = of_numbers(Shrinking())
    with pytest.raises(ParityError, match="differs from float64 by"):
        judge(graph, make_cases(graph), shrunk(share=share), shrunk(share=share))


def test_cases_that_need_no_more_than_the_distance_of_torch_are_judged_by_that(graph):
    assert judge(graph, make_cases(graph), runner(), runner()).by_rounding == ()


def test_whole_numbers_are_not_freed_by_rounding():
    def place(tensors):
        return {"toy.place": tensors["x.values"].exp().argmax(dim=-1)}

    graph = replace(
        of_numbers(Choice(0)), module=nn.Module(), outputs={"toy.place": TensorSpec("int64", ("batch",), 0, 2)}
    )
    graph.module.forward = place
    case = make_cases(graph)[0]
    assert by_rounding(graph, case).allowed["toy.place"].tolist() == case.allowed["toy.place"].tolist() == [0]


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
