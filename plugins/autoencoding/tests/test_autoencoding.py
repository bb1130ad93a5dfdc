import math
from dataclasses import replace

import pytest
import torch
from zoo_autoencoding.divergences import gaussian_kl
from zoo_autoencoding.latent_model import LatentModel
from zoo_autoencoding.posteriors import GaussianPosterior, PointPosterior
from zoo_autoencoding.presets import VAE, Autoencoder

from zoo import Batch, DataError, SpecError
from zoo.testing import ObjectiveContract, number_batch, number_inputs

LATENT_DIM = 3


def _batch(rows=8, present=None):
    batch = number_batch("row", rows=rows, seed=1)
    return batch if present is None else Batch(batch.inputs, {"row": torch.tensor(present)})


def _noise(model, rows=8):
    return model.noise(rows, generator=torch.Generator().manual_seed(2))


def _vae(beta=1.0):
    torch.manual_seed(0)
    return VAE(number_inputs("row"), LATENT_DIM, beta=beta)


class TestAutoencoder(ObjectiveContract):
    @pytest.fixture
    def objective(self):
        torch.manual_seed(0)
        return Autoencoder(number_inputs("row"), LATENT_DIM)

    @pytest.fixture
    def batch(self):
        return _batch()


class TestVAE(ObjectiveContract):
    @pytest.fixture
    def objective(self):
        return _vae(beta=2.0)

    @pytest.fixture
    def batch(self):
        return _batch()


def test_the_divergence_of_the_prior_is_nothing():
    assert gaussian_kl(torch.zeros(2, 3), torch.zeros(2, 3)).tolist() == [0, 0]


def test_the_divergence_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    mean, log_var = torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator)
    posterior = torch.distributions.Normal(mean, (0.5 * log_var).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(gaussian_kl(mean, log_var), expected)


def test_samples_of_a_gaussian_posterior_have_its_mean_and_variance():
    posterior = GaussianPosterior(5, LATENT_DIM)
    rows = 20_000
    mean, log_var = torch.full((rows, LATENT_DIM), 3.0), torch.full((rows, LATENT_DIM), math.log(4.0))
    noise = posterior.noise(rows, generator=torch.Generator().manual_seed(0))
    latent = posterior.sample({"latent": mean, "mean": mean, "log_var": log_var}, noise)
    assert latent.mean().item() == pytest.approx(3, abs=0.05)
    assert latent.var().item() == pytest.approx(4, abs=0.1)


def test_the_mean_of_a_gaussian_posterior_is_deployed():
    parameters = GaussianPosterior(5, LATENT_DIM)(torch.ones(2, 5))
    torch.testing.assert_close(parameters["latent"], parameters["mean"], atol=0, rtol=0)
    assert set(parameters) == {"latent", "mean", "log_var"}


def test_a_point_posterior_knows_no_chance():
    posterior = PointPosterior(5, LATENT_DIM)
    parameters = posterior(torch.ones(2, 5))
    assert posterior.noise(2, generator=torch.Generator()) == {}
    assert posterior.sample(parameters, {}) is parameters["latent"]


def test_the_loss_is_the_mean_of_likelihood_and_weighed_divergence():
    losses = _vae(beta=3.0)(_batch(), _noise(_vae()), "model")
    expected = (losses.terms["reconstruction"] + 3 * losses.terms["kl"]).mean()
    torch.testing.assert_close(losses.loss, expected)


def test_beta_changes_the_loss_and_no_term():
    plain, pressed = (_vae(beta)(_batch(), _noise(_vae()), "model") for beta in (1.0, 4.0))
    torch.testing.assert_close(plain.terms, pressed.terms, atol=0, rtol=0)
    assert pressed.loss > plain.loss


def test_an_autoencoder_minimises_reconstruction_alone():
    losses = Autoencoder(number_inputs("row"), LATENT_DIM)(_batch(), {}, "model")
    assert set(losses.terms) == {"reconstruction"}
    torch.testing.assert_close(losses.loss, losses.terms["reconstruction"].mean())


def test_absent_rows_are_zero_in_every_term_and_do_not_count():
    present = [True, False] * 4
    losses = _vae()(_batch(present=present), _noise(_vae()), "model")
    assert losses.weight.tolist() == [1.0, 0.0] * 4
    for term in losses.terms.values():
        assert (term != 0).tolist() == present


def test_training_brings_the_elbo_up():
    model, batch = _vae(), _batch(64)
    before = model.metrics([batch], generator=torch.Generator().manual_seed(0))["elbo"]
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        optimiser.zero_grad()
        model(batch, model.noise(64, generator=generator), "model").loss.backward()
        optimiser.step()
    assert model.metrics([batch], generator=torch.Generator().manual_seed(0))["elbo"] > before + 0.5


def test_metrics_are_means_over_the_rows_that_are_there():
    model, batch = _vae(beta=5.0), _batch(present=[True] * 5 + [False] * 3)
    found = model.metrics([batch], generator=torch.Generator().manual_seed(2))
    terms = model(batch, _noise(model), "model").means()
    assert found["reconstruction"] == pytest.approx(terms["reconstruction"].item())
    assert found["kl"] == pytest.approx(terms["kl"].item())
    assert found["elbo"] == pytest.approx(-found["reconstruction"] - found["kl"])


def test_units_that_do_not_vary_between_rows_are_not_active():
    model = _vae()
    with torch.no_grad():
        model.posterior.head.weight[:LATENT_DIM] *= 10
        model.posterior.head.weight[1] = 0
    assert model.metrics([_batch()], generator=torch.Generator().manual_seed(0))["active_units"] == LATENT_DIM - 1


def test_measuring_nothing_is_refused():
    with pytest.raises(DataError, match="no held-out row has the input 'row'; choose a split in which some do"):
        _vae().metrics([_batch(present=[False] * 8)], generator=torch.Generator())


@pytest.mark.parametrize(("model", "outputs"), [(Autoencoder, ["latent"]), (VAE, ["latent", "mean", "log_var"])])
def test_encoder_decoder_and_both_in_one_can_be_deployed(model, outputs):
    graphs = {graph.name: graph for graph in model(number_inputs("row"), LATENT_DIM).graphs()}
    assert list(graphs) == ["encode_row", "decode_row", "reconstruct_row"]
    assert list(graphs["encode_row"].outputs) == [f"encode_row.{name}" for name in outputs]
    assert list(graphs["reconstruct_row"].outputs) == ["reconstruct_row.numbers"]


def test_other_parts_can_be_put_together():
    model = LatentModel(number_inputs("row"), LATENT_DIM, posterior=GaussianPosterior, divergence=None)
    assert set(model(_batch(), _noise(model), "model").terms) == {"reconstruction"}


@pytest.mark.parametrize(
    ("inputs", "came"),
    [([], "got 0: none"), (["caption", "picture"], "got 2: caption, picture")],
)
def test_other_than_one_input_is_refused(inputs, came):
    with pytest.raises(SpecError, match=f"autoencoding takes exactly one input, {came}; keep one of them"):
        VAE(dict.fromkeys(inputs, number_inputs("row")["row"]), LATENT_DIM)


def test_an_input_without_a_decoder_is_refused():
    place = replace(number_inputs("row")["row"], make_decoder=None)
    with pytest.raises(SpecError, match=r"spec\.inputs\.row: autoencoding needs a decoder here; add decoder = NAME"):
        Autoencoder({"row": place}, LATENT_DIM)
