"""The contract on what fits float32: what it finds, and what it lets pass."""

import pytest
import torch
from torch import nn

from zoo.models.limits import limited
from zoo.testing.edges import check_edges


class Variance(nn.Module):
    """The variance of a learnt logarithm, of which the logarithm is taken again in one of several forms."""

    def __init__(self, form):
        super().__init__()
        self.log_var = nn.Parameter(torch.tensor([0.5, -0.5]))
        self.form = form

    def forward(self, size, dtype):
        values = size * self.log_var
        match self.form:
            case "exponentials":
                return {"nats": values.exp().sum().log() + values.mean()}
            case "logarithms":
                return {"nats": values.logsumexp(0) + values.mean()}
            case "limited":
                return {"nats": limited(values).exp().sum()}
            case "a gradient":
                return {"nats": torch.where(values > 3, values, (values / 4).exp()).sum()}
            case "too large for both":
                return {"nats": values.exp().sum()}


def values(module, size, dtype):
    return module(size, dtype)


@pytest.mark.parametrize("form", ["logarithms", "limited", "too large for both"])
def test_what_is_finite_wherever_it_fits_passes(form):
    check_edges(Variance(form), values, doing="the toy")


def test_a_value_that_overflows_on_its_way_is_named_with_what_it_should_be():
    told = r"the toy, inputs × 1, weights × 1000: nats is inf in float32, 500 in float64; compute it in a form"
    with pytest.raises(AssertionError, match=told):
        check_edges(Variance("exponentials"), values, doing="the toy", sizes=[(1.0, 1000.0)])


def test_a_gradient_that_overflows_on_its_way_is_named():
    with pytest.raises(
        AssertionError, match=r"weights × 1000: the gradient of log_var is nan in float32, 1 in float64"
    ):
        check_edges(Variance("a gradient"), values, doing="the toy")


def test_the_module_stays_as_it_was():
    module = Variance("logarithms")
    check_edges(module, values, doing="the toy")
    assert module.log_var.tolist() == [0.5, -0.5]
    assert module.log_var.grad is None
