"""Products of experts and mixtures of them are those of the equations."""

import pytest
import torch
from three_inputs import PATTERNS, normal
from zoo_joint.experts import products, subsets_of
from zoo_joint.mixtures import Gaussians, Mixture


def some_experts():
    generator = torch.Generator().manual_seed(0)
    mean, log_var = (torch.randn(3, 8, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    return Gaussians(mean, log_var), PATTERNS.T


@pytest.mark.parametrize("prior_expert", [False, True])
def test_products_are_those_of_the_equation(prior_expert):
    experts, there = some_experts()
    found = products(experts, there, subsets_of(3), prior_expert=prior_expert)
    for subset, members in enumerate(subsets_of(3)):
        for row in range(8):
            known = [i for i in range(3) if members[i] and there[i, row]]
            precisions = [(-experts.log_var[i, row]).exp() for i in known]
            precision = sum(precisions, torch.full((5,), float(prior_expert or not known), dtype=torch.float64))
            pulled = sum((p * experts.mean[i, row] for p, i in zip(precisions, known, strict=True)), 0 * precision)
            torch.testing.assert_close(found.mean[subset, row], pulled / precision)
            torch.testing.assert_close(found.log_var[subset, row], -precision.log())


def test_the_kl_divergence_is_that_of_torch():
    experts, _ = some_experts()
    normal = torch.distributions.Normal(experts.mean, (0.5 * experts.log_var).exp())
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(experts.kl(), expected)


def test_the_divergence_between_gaussians_is_that_of_torch():
    experts, _ = some_experts()
    others = Gaussians(experts.mean.flip(0) + 1, experts.log_var.flip(0))
    expected = torch.distributions.kl_divergence(
        normal(experts.mean, experts.log_var), normal(others.mean, others.log_var)
    ).sum(-1)
    torch.testing.assert_close(experts.kl_to(others), expected)


def some_mixture():
    experts, there = some_experts()
    return Mixture.of_equals(experts, there.to(experts.mean))


def test_the_density_of_a_mixture_is_that_of_torch():
    mixture = some_mixture()
    latents = torch.randn(4, 8, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = mixture.log_prob(latents)
    for row in range(7):
        parts = torch.distributions.Independent(
            normal(mixture.components.mean[:, row], mixture.components.log_var[:, row]), 1
        )
        same = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(mixture.shares[:, row]), parts)
        torch.testing.assert_close(found[:, row], same.log_prob(latents[:, row]), atol=0, rtol=1e-6)


def test_draws_of_a_mixture_have_its_mean_and_its_variance():
    mixture = some_mixture()
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([mixture.draw(generator=generator) for _ in range(5_000)])[:, :7]
    scale = (0.5 * mixture.log_variance()).exp()[:7]
    assert ((drawn.mean(0) - mixture.mean()[:7]) / scale).abs().max() < 0.1
    torch.testing.assert_close(drawn.var(0).log(), mixture.log_variance()[:7], atol=0.2, rtol=0)
