"""Importance samples reach the exact likelihood of linear models."""

import pytest
import torch
from three_inputs import NAMES, a_model
from zoo_joint.mmvae import MMVAE

from zoo import Batch
from zoo.testing import number_batch


@pytest.fixture(scope="module")
def measured_and_exact():
    """What 1,000 latents measure, and the exact -log p by the inputs, for linear decoders with Gaussian noise of 1.

    Rows are N(c, W W' + 1) for a decoder W z + c.
    """
    names = NAMES[:2]
    model = a_model(MMVAE, {"importance_samples": 1000}, names).eval().double()
    batch = number_batch(*names, rows=4)
    batch = Batch({n: {k: t.double() for k, t in ts.items()} for n, ts in batch.inputs.items()}, batch.present)
    units = torch.cat([torch.zeros(1, 5), torch.eye(5)]).double()
    made = {name: model.decoders[name](units).mode()["numbers"].detach() for name in names}
    exact = {}
    for subset in (names[:1], names[1:], names):
        constant, weight = (
            torch.cat([part(made[n]) for n in subset]) for part in (lambda m: m[0], lambda m: (m[1:] - m[0]).T)
        )
        values = torch.cat([batch.inputs[name]["numbers"] for name in subset], dim=-1)
        p = torch.distributions.MultivariateNormal(constant, weight @ weight.T + torch.eye(len(weight)).double())
        exact[subset] = -p.log_prob(values).mean().item()
    return model.metrics([batch], generator=torch.Generator().manual_seed(0)), exact


def test_many_importance_samples_reach_the_likelihood(measured_and_exact):
    measured, exact = measured_and_exact
    for subset, expected in exact.items():
        assert measured[f"{'+'.join(subset)}.nll"] == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("name", NAMES[:2])
def test_many_importance_samples_reach_the_likelihood_of_one_input_given_the_other(name, measured_and_exact):
    measured, exact = measured_and_exact
    assert measured[f"{name}.conditional_nll"] == pytest.approx(exact[NAMES[:2]] - exact[(name,)], abs=0.03)
