"""Products, mixtures and divergences at the edges of float32, and as their formulas say in between."""

import pytest
import torch
from zoo_autoencoding.divergences import gaussian_kl
from zoo_autoencoding.posteriors import GaussianPosterior
from zoo_joint.experts import products, subsets_of, with_prior
from zoo_joint.mixtures import Gaussians, Mixture

from zoo.models.limits import limited, limited_scale

EXPERTS, ROWS, LATENT = 3, 16, 5
SUBSETS = subsets_of(EXPERTS)
# Which experts a row has: every subset of them twice, none twice.
THERE = torch.cat([SUBSETS, torch.zeros(1, EXPERTS, dtype=torch.bool)]).repeat(2, 1).T


def experts(size, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mean, log_var = torch.randn(2, EXPERTS, ROWS, LATENT, generator=generator, dtype=torch.float64)
    there = THERE.unsqueeze(-1)
    return Gaussians(*(torch.where(there, part, 0).to(dtype).requires_grad_() for part in (mean, size * log_var)))


def products_by_precisions(found, *, prior_expert):
    own = (-found.log_var).exp() * THERE.unsqueeze(-1)
    precision = torch.einsum("si,ibl->sbl", SUBSETS.to(own), own)
    pulled = torch.einsum("si,ibl->sbl", SUBSETS.to(own), own * found.mean)
    nobody = torch.einsum("si,ib->sb", SUBSETS.to(own), THERE.to(own)) == 0
    precision = precision + (1 if prior_expert else nobody.unsqueeze(-1).to(own))
    return Gaussians(pulled / precision, -precision.log())


def log_variance_by_variances(mixture):
    shares = mixture.shares.unsqueeze(-1)
    variance = mixture.components.log_var.exp() + (mixture.components.mean - mixture.mean()).square()
    return ((shares * variance).sum(dim=0) + (1 - shares.sum(dim=0))).log()


def of_products(found, **options):
    return products(found, THERE, SUBSETS, **options)


def mixture_of(found):
    return Mixture.of_equals(found, THERE.to(found.mean))


def weighed(*tensors):
    """Return one number that every value has its own part in."""
    generator = torch.Generator().manual_seed(1)
    return sum((t * torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t)).sum() for t in tensors)


def gradients(found, *tensors):
    found_or_none = torch.autograd.grad(weighed(*tensors), both(found), allow_unused=True)
    return [gradient for gradient in found_or_none if gradient is not None]


def turned(found):
    return Gaussians(found.mean.flip(0), found.log_var.flip(0))


def normal(found):
    return torch.distributions.Normal(found.mean, (0.5 * found.log_var).exp())


def both(gaussians):
    return gaussians.mean, gaussians.log_var


# What is computed, and its formula as books have it.
COMPUTED = {
    "product": (
        lambda e: both(of_products(e, prior_expert=False)),
        lambda e: both(products_by_precisions(e, prior_expert=False)),
    ),
    "product with the prior": (
        lambda e: both(of_products(e, prior_expert=True)),
        lambda e: both(products_by_precisions(e, prior_expert=True)),
    ),
    "one with the prior": (
        lambda e: both(with_prior(e)),
        lambda e: (e.mean / (1 + e.log_var.exp()), -(1 + (-e.log_var).exp()).log()),
    ),
    "variance of a mixture": (
        lambda e: (mixture_of(e).log_variance(),),
        lambda e: (log_variance_by_variances(mixture_of(e)),),
    ),
    "density of a mixture": (
        lambda e: (mixture_of(e).log_prob(torch.ones(2, ROWS, LATENT).to(e.mean)),),
        lambda e: (
            torch.stack(
                [
                    (normal(e).log_prob(torch.ones_like(e.mean)).sum(-1).exp() * share).sum(dim=0).log()
                    for share in [torch.where(THERE.any(dim=0), mixture_of(e).shares, 1 / EXPERTS)] * 2
                ]
            ),
        ),
    ),
    "divergence from the prior": (
        lambda e: (e.kl(),),
        lambda e: (0.5 * (e.mean.square() + e.log_var.exp() - e.log_var - 1).sum(-1),),
    ),
    "divergence from each other": (
        lambda e: (turned(e).kl_to(e),),
        lambda e: (torch.distributions.kl_divergence(normal(turned(e)), normal(e)).sum(-1),),
    ),
}
OF_ANY_SIZE = ["product", "product with the prior", "one with the prior", "variance of a mixture"]


@pytest.mark.parametrize("what", COMPUTED)
def test_ordinary_numbers_and_their_gradients_are_those_of_the_plain_formula(what):
    computed, plain = COMPUTED[what]
    results = []
    for formula in (computed, plain):
        found = experts(2.0)
        made = formula(found)
        results.append((*made, *gradients(found, *made)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(
    ("what", "size"),
    [*((what, size) for what in OF_ANY_SIZE for size in (1e-6, 30, 300, 3e4)), *((w, 15) for w in COMPUTED)],
)
def test_what_fits_float32_is_finite_in_it_whatever_the_log_variances(what, size):
    computed, _ = COMPUTED[what]
    double = experts(size)
    single = Gaussians(*(part.detach().float().requires_grad_() for part in both(double)))
    results = []
    for found in (double, single):
        made = computed(found)
        results.append((*made, *gradients(found, *made)))
    for exact, found in zip(*results, strict=True):
        assert torch.isfinite(exact).all()
        assert torch.isfinite(found).all()
        torch.testing.assert_close(found.double(), exact, atol=1e-6 * exact.abs().max().item(), rtol=1e-2)


@pytest.mark.parametrize("shift", [-120.0, 120.0])
def test_experts_that_are_all_sure_or_all_unsure_are_weighed_as_others(shift):
    found = experts(1.0)
    shifted = Gaussians(found.mean.float(), (found.log_var + shift * THERE.unsqueeze(-1)).float())
    plain, made = of_products(found, prior_expert=False), of_products(shifted, prior_expert=False)
    torch.testing.assert_close(made.mean.double(), plain.mean, atol=1e-4, rtol=1e-4)
    whole = (SUBSETS.unsqueeze(-1) & THERE).any(dim=1).unsqueeze(-1) * shift
    torch.testing.assert_close(made.log_var.double(), plain.log_var + whole, atol=1e-4, rtol=1e-4)


def test_the_shares_of_five_inputs_that_add_up_to_more_than_one_leave_a_small_variance():
    log_var = torch.full((31, 1, 1), -40.0)
    mixture = Mixture.of_equals(Gaussians(torch.zeros(31, 1, 1), log_var), torch.ones(31, 1))
    assert mixture.log_variance().item() == pytest.approx(-40, abs=1e-5)


def test_the_distance_of_the_means_counts_where_its_square_is_no_float32():
    mean = torch.tensor([1e25, -1e25]).reshape(2, 1, 1)
    mixture = Mixture.of_equals(Gaussians(mean, torch.zeros(2, 1, 1)), torch.ones(2, 1))
    assert mixture.log_variance().item() == pytest.approx(50 * torch.tensor(10.0).log().item(), rel=1e-6)


def test_a_posterior_states_log_variances_between_its_limits():
    torch.manual_seed(0)
    posterior = GaussianPosterior(2, 1)
    with torch.no_grad():
        posterior.head.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
        posterior.head.bias.zero_()
    features = torch.tensor([[-1e30, 0.0], [-59.0, 0.0], [59.0, 0.0], [1e30, 0.0]])
    assert posterior(features)["log_var"].squeeze(1).tolist() == [-60, -59, 59, 60]


def test_a_log_variance_beyond_its_limit_is_pulled_back():
    log_var = torch.tensor([[-1e5, -61.0, 0.5, 61.0, 1e5]], requires_grad=True)
    gaussian_kl(torch.zeros_like(log_var), limited(log_var)).sum().backward()
    gradient = log_var.grad[0]
    assert torch.isfinite(gradient).all()
    assert gradient.sign().tolist() == [-1, -1, 1, 1, 1]  # of the loss: a step of descent goes the other way
    assert gradient[2].item() == pytest.approx(0.5 * (torch.tensor(0.5).exp().item() - 1))


def test_a_limited_scale_is_e_to_the_thirty_at_most():
    scale = limited_scale(torch.tensor([-1e3, 0.0, 1e3]))
    torch.testing.assert_close(scale.log(), torch.tensor([-30.0, 0.0, 30.0]))


def test_a_divergence_that_no_float32_holds_is_that_at_the_limit():
    wide, narrow = (
        Gaussians(torch.zeros(1, 1), torch.tensor([[60.0]])),
        Gaussians(torch.zeros(1, 1), torch.tensor([[-60.0]])),
    )
    assert wide.kl_to(narrow).item() == pytest.approx(0.5 * torch.tensor(60.0).exp().item(), rel=1e-5)
