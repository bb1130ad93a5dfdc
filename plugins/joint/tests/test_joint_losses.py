"""The loss of each joint model is that of its paper."""

import pytest
import torch
from three_inputs import NAMES, PATTERNS, a_model, gappy, noise_of, normal
from zoo_joint.cvae import CVAE
from zoo_joint.dmvae import DMVAE
from zoo_joint.experts import products, subsets_of
from zoo_joint.jmvae import JMVAE
from zoo_joint.mixtures import Gaussians
from zoo_joint.mmvae import MMVAE
from zoo_joint.mopoe import MoPoE
from zoo_joint.mvtcae import MVTCAE

from zoo import Batch
from zoo.testing import number_batch


def test_a_mixture_of_products_draws_its_components_in_equal_shares():
    model, batch = a_model(MoPoE, {}), gappy()
    shares = model.posterior.mixture(model.features(batch), batch.present).shares
    counts = PATTERNS.sum(1)
    for row in range(7):
        complete = 2 ** int(counts[row]) - 1
        assert (shares[:, row] > 0).sum() == complete
        torch.testing.assert_close(shares[:, row].sum(), torch.tensor(1.0))
    assert shares[:, 7].sum() == 0


def test_the_bound_of_one_sample_of_one_expert_is_the_elbo_of_that_sample():
    model = a_model(MMVAE, {"samples": 1}, NAMES[:2]).eval()
    batch = number_batch(*NAMES[:2])
    batch = Batch(batch.inputs, {**batch.present, "picture": torch.zeros(batch.rows, dtype=torch.bool)})
    noise = noise_of(model, batch.rows)
    experts, _ = model.posterior.experts(model.features(batch.with_clean_gaps()), batch.present)
    spread = (0.5 * experts.log_var[0]).exp()
    latent = experts.mean[0] + spread * noise["latent"][:, 0, 0]
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(latent).sum(-1)
    posterior = torch.distributions.Normal(experts.mean[0], spread).log_prob(latent).sum(-1)
    expected = -(prior - posterior - model.nats("caption", latent, batch))
    torch.testing.assert_close(model(batch, noise, "model").terms["bound"], expected)


def test_more_samples_give_a_tighter_bound():
    batch = number_batch(*NAMES[:2], rows=512)
    bounds = []
    for samples in (1, 20):
        model = a_model(MMVAE, {"samples": samples}, NAMES[:2]).eval()
        bounds.append(model(batch, noise_of(model, batch.rows), "model").loss.item())
    assert bounds[1] < bounds[0]


def test_beta_weighs_the_divergence():
    batch = number_batch(*NAMES)
    plain, weighed = (a_model(MoPoE, {"beta": beta}).eval() for beta in (1.0, 3.0))
    noise = noise_of(plain, batch.rows)
    first, second = (model(batch, noise, "model") for model in (plain, weighed))
    torch.testing.assert_close(second.loss - first.loss, 2 * first.means()["kl"])


def losses_and_parts(kind, options):
    model, batch = a_model(kind, options).eval(), gappy()
    noise = noise_of(model, batch.rows)
    return model, batch, noise, model(batch, noise, "model")


def test_mvtcae_weighs_a_row_of_one_input_as_much_as_a_row_of_all():
    _, _, _, found = losses_and_parts(MVTCAE, {"alpha": 0.6, "beta": 2.0})
    total = 0.0
    for row in range(7):
        nats = sum(found.terms[f"reconstruction_{name}"][row] for name in NAMES)
        apart = sum(found.terms[f"kl_{name}"][row] for name in NAMES)
        total += (3 - 0.6) / 3 * nats + 2.0 * (0.4 * found.terms["kl"][row] + 0.6 / 3 * apart)
    torch.testing.assert_close(found.loss, total / 7)
    assert found.terms["kl_caption"][0].item() == pytest.approx(0, abs=1e-6)  # one expert is the product of itself


def test_jmvae_takes_the_joint_encoder_where_everything_is_there_and_the_product_elsewhere():
    model, batch, _, found = losses_and_parts(JMVAE, {})
    clean = batch.with_clean_gaps()
    features = model.features(clean)
    joint, experts, there = model.posterior.joint_and_experts(features, batch.present)
    product = products(experts, there, subsets_of(3)[-1:], prior_expert=False)
    torch.testing.assert_close(joint.mean[0, :6], product.mean[0, :6])
    assert not torch.allclose(joint.mean[0, 6], product.mean[0, 6])
    kl = torch.distributions.kl_divergence(normal(joint.mean, joint.log_var), normal(experts.mean, experts.log_var))
    torch.testing.assert_close(found.terms["kl_picture"][6], kl.sum(-1)[1, 6])


def test_dmvae_decodes_each_input_from_the_shared_and_its_own_private_latent():
    model, batch, noise, found = losses_and_parts(DMVAE, {"private_dim": 2})
    shared, private = model.posterior.parts(model.features(batch.with_clean_gaps()), batch.present)
    drawn = shared.sample(noise["shared"].transpose(0, 1))
    own = Gaussians(private.mean[1], private.log_var[1]).sample(noise["private"][:, :, 1].transpose(0, 1))
    whole = torch.zeros(8, 5 + 3 * 2)
    whole[:, :5], whole[:, 7:9] = drawn[0], own[0]
    expected = torch.where(batch.present["picture"], model.nats("picture", whole, batch), torch.zeros(8))
    torch.testing.assert_close(found.terms["reconstruction_picture"], expected)


def test_the_private_latents_of_others_change_nothing():
    model = a_model(DMVAE, {"private_dim": 2}).eval()
    latent = torch.randn(4, model.latent_dim, generator=torch.Generator().manual_seed(0))
    other = latent.clone()
    other[:, 5:7], other[:, 9:] = 7.0, -3.0
    first, second = (model.decoders["picture"](one).mode()["numbers"] for one in (latent, other))
    torch.testing.assert_close(first, second, atol=0, rtol=0)


def test_cvae_measures_its_posterior_against_the_prior_that_the_conditions_give():
    model, batch, _, found = losses_and_parts(CVAE, {"condition_dim": 3, "beta": 2.0})
    _, prior, posterior = model.posterior.parts(model.features(batch.with_clean_gaps()), batch.present)
    kl = torch.distributions.kl_divergence(normal(posterior.mean, posterior.log_var), normal(prior.mean, prior.log_var))
    expected = torch.where(batch.present["caption"], kl.sum(-1)[0], torch.zeros(8))
    torch.testing.assert_close(found.terms["kl"], expected)
    nats = found.terms["reconstruction_caption"]
    torch.testing.assert_close(found.loss, (nats + 2 * expected).sum() / batch.present["caption"].sum())
