"""What a rounding on the way costs an answer: little where little follows from it, much in front of an exponential."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zoo.exporting.rounding import DRAWS, UNITS, moved_on_the_way
from zoo.protocols import Graph, TensorSpec

UNIT = 2.0**-23


class Computed(nn.Module):
    """What a function makes of the numbers, through a weight of ``float32``."""

    def __init__(self, function, weight) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"made": self.function(tensors["x.values"] * self.weight)}


def answers(function, weight, numbers):
    """Return the exact answers and the moved ones, one row per draw."""
    graph = Graph(
        "made",
        Computed(function, weight),
        {"x.values": TensorSpec("float32", ("batch",))},
        {"made": TensorSpec("float32", ("batch",))},
        {},
        lambda batch, sizes, generator: {},
    )
    before = copy.deepcopy(graph.module.state_dict())
    inputs = {"x.values": np.asarray(numbers, dtype=np.float32)}
    moved = np.stack([made["made"] for made in moved_on_the_way(graph, inputs)])
    assert torch.equal(graph.module.weight, before["weight"])
    assert graph.module.weight.dtype == torch.float32
    with torch.no_grad():
        exact = copy.deepcopy(graph.module).double()({"x.values": torch.from_numpy(inputs["x.values"]).double()})
    return exact["made"].numpy(), moved


def test_a_rounded_product_is_moved_by_some_units_of_itself():
    exact, moved = answers(lambda x: x, 1 / 3, [1.0, 100.0])
    units = np.abs(moved / exact - 1) / UNIT
    assert moved.shape == (DRAWS, 2)
    assert UNITS / 2 < units.max() <= UNITS + 1
    assert np.array_equal(moved, moved.astype(np.float32))


def test_in_front_of_an_exponential_the_units_are_those_of_its_exponent():
    exact, moved = answers(torch.exp, 1 / 3, [-90.0])
    assert 15 * UNITS < (np.abs(moved / exact - 1) / UNIT).max() < 32 * UNITS


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x,
        lambda x: (x > 1).to(x).sum(dim=0, keepdim=True),
        lambda x: torch.where(x > 1, x, -x).clamp(max=7).flip(0),
        lambda x: x.mul_(2).sub_(1),
    ],
)
def test_what_float32_holds_stays(function):
    exact, moved = answers(function, 0.5, [1.0, 2.0, 7.0, 12.0])
    assert np.array_equal(moved, np.broadcast_to(exact, moved.shape))


def test_numbers_that_are_changed_in_place_are_moved_where_they_stand():
    def doubled(x):
        kept = x.exp()
        kept.div_(3)
        return kept

    exact, moved = answers(doubled, 1.0, [1.0])
    assert np.abs(moved / exact - 1).max() > UNITS * UNIT / 2


def test_nan_and_infinity_stay():
    exact, moved = answers(lambda x: x / 3, 1.0, [np.nan, np.inf, -np.inf])
    assert np.array_equal(moved, np.broadcast_to(exact, moved.shape), equal_nan=True)


def test_the_answers_follow_from_the_seed():
    (_, first), (_, again) = (answers(torch.exp, 1 / 3, [1.0]) for _ in range(2))
    assert np.array_equal(first, again)
    assert len(np.unique(first)) > 1
