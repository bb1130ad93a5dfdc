"""What floats can hold enters the judgement: overflow, logarithms, and what a rounding on the way costs."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from zoo_toy.judged import of_numbers, run, runner, summary

from zoo.errors import ParityError
from zoo.exporting.judging import by_rounding, judge, make_cases
from zoo.protocols import TensorSpec


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


def test_cases_that_need_no_more_than_the_distance_of_torch_are_judged_by_that():
    graph = summary()
    assert judge(graph, make_cases(graph), runner(), runner()).by_rounding == ()


def test_whole_numbers_are_not_freed_by_rounding():
    def place(tensors):
        return {"toy.place": tensors["x.values"].exp().argmax(dim=-1)}

    graph = replace(
        of_numbers(nn.Identity()), module=nn.Module(), outputs={"toy.place": TensorSpec("int64", ("batch",), 0, 2)}
    )
    graph.module.forward = place
    case = make_cases(graph)[0]
    assert by_rounding(graph, case).allowed["toy.place"].tolist() == case.allowed["toy.place"].tolist() == [0]
