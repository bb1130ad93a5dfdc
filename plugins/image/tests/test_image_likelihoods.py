import math

import numpy as np
import pytest
import torch
from zoo_image.decoders import ConvolutionalDecoder, MLPDecoder
from zoo_image.likelihood_heads import SMALLEST_SCALE, SMALLEST_SCALE_OF_MASS
from zoo_image.likelihoods import Bernoulli, DiscretisedLogistic, Gaussian, Laplace
from zoo_image.modality import ImageModality

from zoo.testing import DecoderContract, LikelihoodContract

SCALED = {"gaussian": Gaussian, "laplace": Laplace, "discretised-logistic": DiscretisedLogistic}
LEVELS = torch.arange(256, dtype=torch.uint8).reshape(256, 1, 1, 1)


def _read(pixels):
    return pixels / 255


def _read_double(pixels):
    return pixels.double() / 255


def _pixels(*shape):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


def _random(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


class _PictureLikelihood(LikelihoodContract):
    @pytest.fixture
    def targets(self):
        return {"pixels": _pixels(3, 1, 4, 4)}


class TestBernoulli(_PictureLikelihood):
    @pytest.fixture
    def likelihood(self):
        return Bernoulli(torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0)), _read)


class TestGaussian(_PictureLikelihood):
    @pytest.fixture
    def likelihood(self):
        return Gaussian(_random(3, 1, 4, 4), torch.tensor(0.1), _read)


class TestLaplace(_PictureLikelihood):
    @pytest.fixture
    def likelihood(self):
        return Laplace(_random(3, 1, 4, 4), torch.tensor(0.1), _read)


class TestDiscretisedLogistic(_PictureLikelihood):
    @pytest.fixture
    def likelihood(self):
        return DiscretisedLogistic(2 * _random(3, 1, 4, 4) - 0.5, torch.tensor(0.1), _read)


class TestDecoderOfLaplace(DecoderContract):
    @pytest.fixture
    def modality(self):
        return ImageModality(13)

    @pytest.fixture
    def decoder(self, modality):
        torch.manual_seed(0)
        return ConvolutionalDecoder(modality, 4, channels=(8, 8), likelihood="laplace")


class TestDecoderOfDiscretisedLogistic(DecoderContract):
    @pytest.fixture
    def modality(self):
        return ImageModality(14, 1)

    @pytest.fixture
    def decoder(self, modality):
        torch.manual_seed(0)
        return MLPDecoder(modality, 4, hidden=(16,), likelihood="discretised-logistic")


def test_a_bernoulli_scores_grey_by_cross_entropy():
    logits = torch.tensor([[[[0.3]]]])
    found = Bernoulli(logits, _read).log_prob({"pixels": torch.tensor([[[[51]]]], dtype=torch.uint8)})
    probability = 1 / (1 + math.exp(-0.3))
    assert found.item() == pytest.approx(0.2 * math.log(probability) + 0.8 * math.log(1 - probability))


def test_a_bernoulli_draws_black_or_lit_pixels():
    drawn = Bernoulli(torch.zeros(1, 1, 40, 40), _read).sample(torch.Generator().manual_seed(0))["intensity"]
    assert set(drawn.unique().tolist()) == {0, 1}
    assert drawn.mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("ours", "reference"), [(Gaussian, torch.distributions.Normal), (Laplace, torch.distributions.Laplace)]
)
def test_a_density_scores_as_torch_does(ours, reference):
    centre, pixels = _random(2, 1, 3, 3), _pixels(2, 1, 3, 3)
    expected = reference(centre, 0.2).log_prob(pixels / 255).flatten(1).sum(-1)
    torch.testing.assert_close(ours(centre, torch.tensor(0.2), _read).log_prob({"pixels": pixels}), expected)


@pytest.mark.parametrize("scale", [SMALLEST_SCALE_OF_MASS, 0.01, 0.3, 20.0])
@pytest.mark.parametrize("mean", [-3.0, -0.001, 0.0, 0.4, 0.5, 127.5 / 255, 1.0, 1.7])
def test_the_probabilities_of_the_256_levels_sum_to_one(mean, scale):
    means = torch.full((256, 1, 1, 1), mean)
    likelihood = DiscretisedLogistic(means, torch.tensor(scale), _read)
    assert likelihood.log_prob({"pixels": LEVELS}).exp().sum().item() == pytest.approx(1, abs=1e-4)
    precise = DiscretisedLogistic(means.double(), torch.tensor(scale, dtype=torch.float64), _read_double)
    assert precise.log_prob({"pixels": LEVELS}).exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_a_level_has_the_share_of_the_logistic_distribution_that_rounds_to_it():
    mean, scale = 0.4, 0.05

    def below(intensity):
        return 1 / (1 + math.exp(-(intensity - mean) / scale))

    means = torch.full((256, 1, 1, 1), mean, dtype=torch.float64)
    likelihood = DiscretisedLogistic(means, torch.tensor(scale, dtype=torch.float64), _read_double)
    found = likelihood.log_prob({"pixels": LEVELS}).exp()
    assert found[0].item() == pytest.approx(below(0.5 / 255))
    assert found[100].item() == pytest.approx(below(100.5 / 255) - below(99.5 / 255))
    assert found[255].item() == pytest.approx(1 - below(254.5 / 255))


def test_a_picture_adds_up_the_scores_of_its_values():
    mean, pixels = _random(1, 3, 2, 2), _pixels(1, 3, 2, 2)
    whole = DiscretisedLogistic(mean, torch.tensor(0.1), _read).log_prob({"pixels": pixels})
    single = DiscretisedLogistic(mean.reshape(12, 1, 1, 1), torch.tensor(0.1), _read)
    assert whole.item() == pytest.approx(
        single.log_prob({"pixels": pixels.reshape(12, 1, 1, 1)}).sum().item(), rel=1e-5
    )


@pytest.mark.parametrize("kind", SCALED)
@pytest.mark.parametrize("centre", [-50.0, 0.0, 1.0, 50.0])
def test_scores_and_gradients_are_finite_at_the_ends_of_everything(kind, centre):
    smallest = SMALLEST_SCALE_OF_MASS if kind == "discretised-logistic" else SMALLEST_SCALE
    for size in (smallest, 1.0, 1e4):
        centres = torch.full((256, 1, 1, 1), centre, requires_grad=True)
        scale = torch.tensor(size, requires_grad=True)
        score = SCALED[kind](centres, scale, _read).log_prob({"pixels": LEVELS})
        score.sum().backward()
        for tensor in (score, centres.grad, scale.grad):
            assert torch.isfinite(tensor).all()


def test_a_level_far_from_the_mean_still_pulls_the_mean():
    mean = torch.full((1, 1, 1, 1), -20.0, requires_grad=True)
    white = torch.full((1, 1, 1, 1), 255, dtype=torch.uint8)
    DiscretisedLogistic(mean, torch.tensor(0.01), _read).log_prob({"pixels": white}).sum().backward()
    assert mean.grad.item() == pytest.approx(100)  # 1 / scale


def test_an_intensity_between_two_levels_is_rounded_to_the_nearest():
    def score(intensity):
        mean = torch.full((1, 1, 1, 1), 0.4)
        likelihood = DiscretisedLogistic(mean, torch.tensor(0.05), lambda _: torch.full_like(mean, intensity))
        return likelihood.log_prob({"pixels": LEVELS[:1]}).item()

    assert score(100.4 / 255) == score(100 / 255) != score(100.6 / 255) == score(101 / 255)


@pytest.mark.parametrize("kind", SCALED)
def test_a_batch_without_rows_has_no_scores(kind):
    nothing = SCALED[kind](torch.zeros(0, 1, 4, 4), torch.tensor(0.1), _read)
    assert nothing.log_prob({"pixels": _pixels(0, 1, 4, 4)}).shape == (0,)


@pytest.mark.parametrize(
    ("kind", "mean_error"), [("gaussian", 0.0798), ("laplace", 0.1), ("discretised-logistic", 0.1386)]
)
def test_samples_spread_as_the_scale_says(kind, mean_error):
    likelihood = SCALED[kind](torch.full((1, 1, 200, 200), 0.5), torch.tensor(0.1), _read)
    drawn = likelihood.sample(torch.Generator().manual_seed(0))["intensity"]
    assert drawn.mean().item() == pytest.approx(0.5, abs=5e-3)
    assert (drawn - 0.5).abs().mean().item() == pytest.approx(mean_error, rel=2e-2)  # what the clipping takes is less


@pytest.mark.parametrize("kind", SCALED)
def test_samples_can_be_shown(kind):
    drawn = SCALED[kind](torch.zeros(1, 1, 50, 50), torch.tensor(3.0), _read).sample(torch.Generator().manual_seed(0))
    assert torch.isfinite(drawn["intensity"]).all()
    assert 0 <= drawn["intensity"].min() < drawn["intensity"].max() <= 1


def test_discretised_samples_are_drawn_as_often_as_they_are_probable():
    likelihood = DiscretisedLogistic(torch.full((1, 1, 300, 300), 0.01), torch.tensor(0.01), _read)
    drawn = likelihood.sample(torch.Generator().manual_seed(0))["intensity"].flatten() * 255
    levels = drawn.round().long()
    torch.testing.assert_close(drawn, levels.float(), atol=1e-4, rtol=0)
    probable = DiscretisedLogistic(torch.full((256, 1, 1, 1), 0.01), torch.tensor(0.01), _read)
    expected = probable.log_prob({"pixels": LEVELS}).exp()
    torch.testing.assert_close(levels.bincount(minlength=256) / 90_000, expected, atol=6e-3, rtol=0)


def test_a_mode_outside_of_what_can_be_shown_is_clipped():
    means = torch.tensor([-0.5, 0.25, 1.5]).reshape(3, 1, 1, 1)
    mode = DiscretisedLogistic(means, torch.tensor(0.1), _read).mode()["intensity"]
    assert mode.flatten().tolist() == [0, 0.25, 1]


def _decoder(kind, *, scale=None):
    torch.manual_seed(0)
    return MLPDecoder(ImageModality(8, 1), 2, hidden=(4,), likelihood=kind, scale=scale)


@pytest.mark.parametrize(
    ("kind", "size"), [("gaussian", lambda error: error.square().mean().sqrt()), ("laplace", lambda e: e.abs().mean())]
)
def test_a_learnt_scale_becomes_the_mean_size_of_the_error(kind, size):
    decoder, pixels, latent = _decoder(kind), _pixels(16, 1, 8, 8), torch.zeros(16, 2)
    optimiser = torch.optim.Adam([decoder.get_parameter("likelihood.log_scale")], lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        (-decoder(latent).log_prob({"pixels": pixels}).mean()).backward()
        optimiser.step()
    likelihood = decoder(latent)
    error = likelihood.mode()["intensity"] - pixels / 255
    assert likelihood.scale.item() == pytest.approx(size(error).item(), rel=1e-2)


@pytest.mark.parametrize("kind", SCALED)
def test_a_learnt_scale_stays_above_its_bound(kind):
    decoder = _decoder(kind)
    with torch.no_grad():
        decoder.get_parameter("likelihood.log_scale").fill_(-100)
    smallest = SMALLEST_SCALE_OF_MASS if kind == "discretised-logistic" else SMALLEST_SCALE
    assert decoder(torch.zeros(1, 2)).scale.item() == pytest.approx(smallest)


@pytest.mark.parametrize("kind", SCALED)
def test_a_fixed_scale_is_no_parameter(kind):
    decoder = _decoder(kind, scale=0.1)
    assert decoder(torch.zeros(1, 2)).scale.item() == pytest.approx(0.1)
    assert not [name for name in decoder.state_dict() if "scale" in name]


@pytest.mark.parametrize("kind", ["bernoulli", *SCALED])
@pytest.mark.parametrize("side", [8, 20])
def test_mixed_precision_rounds_the_decoder_but_not_the_score(kind, side):
    decoder, pixels = _decoder(kind), _pixels(4, 1, side, side)
    with torch.autocast("cpu", torch.bfloat16):
        likelihood = decoder(torch.zeros(4, 2))
        score = likelihood.log_prob({"pixels": pixels})
        score.sum().backward()
    assert score.dtype == likelihood.mode()["intensity"].dtype == torch.float32
    torch.testing.assert_close(likelihood.log_prob({"pixels": pixels}), score, atol=0, rtol=1e-6)
    assert all(torch.isfinite(parameter.grad).all() for parameter in decoder.parameters())


@pytest.mark.parametrize("kind", ["bernoulli", *SCALED])
def test_a_decoder_works_on_another_device(kind):
    decoder = _decoder(kind).to("meta")
    likelihood = decoder(torch.zeros(3, 2, device="meta"))
    assert likelihood.log_prob({"pixels": _pixels(3, 1, 8, 8).to("meta")}).device.type == "meta"


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("log_scale", [-1e4, 1e4])
def test_a_learnt_scale_that_has_gone_far_has_a_finite_score_and_comes_back(name, log_scale):
    decoder = MLPDecoder(ImageModality(4, channels=1), 2, likelihood=name)
    with torch.no_grad():
        decoder.likelihood.log_scale.fill_(log_scale)
    likelihood = decoder(torch.ones(3, 2))
    assert likelihood.scale.log().item() <= 30.0 + 1e-5
    loss = -likelihood.log_prob({"pixels": _pixels(3, 1, 4, 4)}).sum()
    loss.backward()
    assert torch.isfinite(loss)
    gradient = decoder.likelihood.log_scale.grad
    assert torch.isfinite(gradient)
    assert log_scale < 0 or gradient > 0  # of the loss: a step of descent makes the scale smaller
