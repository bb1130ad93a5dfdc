from dataclasses import dataclass, field, replace

import pytest
import torch
from zoo_autoencoding.corruption import Corruption
from zoo_autoencoding.importance import importance_sampled_nll
from zoo_autoencoding.presets import VAE, DenoisingAutoencoder
from zoo_autoencoding.random_numbers import draw_seeds, normal, uniform

from zoo import Batch, SpecError, TensorSpec
from zoo.testing import ObjectiveContract, number_batch, number_inputs

WIDTH = number_batch("row").inputs["row"]["numbers"].shape[1]
PICTURES = {"pixels": TensorSpec("uint8", ("batch", 3, "height", "width"), 0, 255)}
TEXTS = {
    "ids": TensorSpec("int64", ("batch", "length"), 0, 9),
    "mask": TensorSpec("bool", ("batch", "length"), 0, 1),
}
NUMBERS = {"values": TensorSpec("float32", ("batch", 6), -1, 1)}
OPEN = {"values": TensorSpec("float32", ("batch", 6))}


@dataclass(frozen=True)
class Declared:
    """A modality of which only the declared tensors are known."""

    tensors: dict
    axes: dict = field(default_factory=dict)

    def _unused(self, *_):
        raise NotImplementedError

    fit = state = with_state = to_arrays = from_arrays = draw = _unused

    def example(self, batch, sizes, *, generator):
        return {"numbers": generator.uniform(-1, 1, (batch, WIDTH)).astype("float32")}


def _seeds(rows, seed=0):
    return draw_seeds(rows, generator=torch.Generator().manual_seed(seed))


def _pictures(rows=2, side=40):
    return {"pixels": torch.full((rows, 3, side, side), 100, dtype=torch.uint8)}


def _texts(rows=50, length=40):
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(length) < torch.randint(1, length, (rows, 1), generator=generator)
    return {"ids": torch.randint(1, 10, (rows, length), generator=generator) * mask, "mask": mask}


def _corrupt(tensors, specs, name, share=None, scale=None, seeds=None):
    rows = len(next(iter(tensors.values())))
    return Corruption(Declared(specs), name, share=share, scale=scale)(
        tensors, _seeds(rows) if seeds is None else seeds
    )


def test_uniform_numbers_fill_the_unit_evenly():
    numbers = uniform(_seeds(400), (50, 20), stream=0).flatten()
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = torch.histc(numbers, bins=100, min=0, max=1)
    chi_squared = ((counts - 4000).square() / 4000).sum().item()
    assert 50 < chi_squared < 160  # 99 degrees of freedom


def test_neighbours_rows_and_streams_are_not_correlated():
    seeds = torch.arange(300)  # the worst seeds: they differ by one
    numbers, other = (uniform(seeds, (30, 30), stream=stream) for stream in (0, 1))
    pairs = [
        (numbers[:-1], numbers[1:]),
        (numbers[:, :-1], numbers[:, 1:]),
        (numbers[..., :-1], numbers[..., 1:]),
        (numbers, numbers.transpose(1, 2).roll(1, 0)),
        (numbers, other),
    ]
    for first, second in pairs:
        assert abs(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]) < 0.01


def test_normal_numbers_have_the_moments_of_a_gaussian():
    numbers = normal(_seeds(200), (1000,), stream=0).double()
    assert numbers.mean().item() == pytest.approx(0, abs=0.01)
    assert numbers.square().mean().item() == pytest.approx(1, abs=0.01)
    assert numbers.pow(4).mean().item() == pytest.approx(3, abs=0.1)


def test_numbers_of_a_place_hang_neither_on_other_rows_nor_on_the_shape():
    seeds = _seeds(5)
    wide = uniform(seeds, (7, 9), stream=2)
    torch.testing.assert_close(uniform(seeds[3:], (4, 5), stream=2), wide[3:, :4, :5], atol=0, rtol=0)


@pytest.mark.parametrize("name", ["masking", "salt-and-pepper", "replacement"])
def test_a_share_of_whole_pixels_is_hit(name):
    clean = _pictures()["pixels"]
    damaged = _corrupt(_pictures(), PICTURES, name, share=0.25)["pixels"]
    assert damaged.dtype == torch.uint8
    hit = (damaged != clean).all(dim=1)
    assert torch.equal(hit, (damaged != clean).any(dim=1))
    assert hit.float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_masking_puts_zero():
    assert _corrupt(_pictures(), PICTURES, "masking")["pixels"].unique().tolist() == [0, 100]


def test_salt_and_pepper_are_the_ends_of_the_range_as_often():
    damaged = _corrupt(_pictures(), PICTURES, "salt-and-pepper", share=0.5)["pixels"]
    assert damaged.unique().tolist() == [0, 100, 255]
    assert (damaged == 255).sum() / (damaged != 100).sum() == pytest.approx(0.5, abs=0.05)


def test_replacement_draws_from_the_whole_range():
    damaged = _corrupt(_pictures(8, 64), PICTURES, "replacement", share=0.9)["pixels"]
    assert len(damaged.unique()) == 256


def test_gaussian_noise_is_measured_in_widths_of_the_range():
    damaged = _corrupt(_pictures(8), PICTURES, "gaussian", scale=0.1)["pixels"].double()
    assert damaged.mean().item() == pytest.approx(100, abs=0.5)
    assert damaged.std().item() == pytest.approx(25.5, abs=0.5)


def test_gaussian_noise_stays_in_the_range():
    damaged = _corrupt(_pictures(), PICTURES, "gaussian", scale=5.0)["pixels"]
    assert {0, 255} <= set(damaged.unique().tolist())


def test_gaussian_noise_of_an_open_range_is_in_its_own_unit():
    damaged = _corrupt({"values": torch.zeros(3000, 6)}, OPEN, "gaussian", scale=2.0)["values"]
    assert damaged.std().item() == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("name", ["masking", "replacement"])
def test_tokens_are_hit_where_the_mask_shows_them(name):
    clean = _texts()
    damaged = _corrupt(clean, TEXTS, name, share=0.4)
    torch.testing.assert_close(damaged["mask"], clean["mask"])
    hit = damaged["ids"] != clean["ids"]
    assert not hit[~clean["mask"]].any()
    assert hit[clean["mask"]].float().mean().item() == pytest.approx(0.4, abs=0.05)
    assert damaged["ids"].min() >= 0
    assert damaged["ids"].max() <= 9


def test_padding_changes_no_damage():
    clean = _texts()
    longer = {name: torch.nn.functional.pad(tensor, (0, 5)) for name, tensor in clean.items()}
    short, long = (_corrupt(tensors, TEXTS, "replacement")["ids"] for tensors in (clean, longer))
    torch.testing.assert_close(long[:, :40], short)
    assert not long[:, 40:].any()


def test_the_damage_of_a_row_hangs_on_its_own_seed():
    clean, seeds = _texts(), _seeds(50)
    all_rows = _corrupt(clean, TEXTS, "replacement", seeds=seeds)["ids"]
    some = _corrupt({name: tensor[7:9] for name, tensor in clean.items()}, TEXTS, "replacement", seeds=seeds[7:9])[
        "ids"
    ]
    torch.testing.assert_close(some, all_rows[7:9])
    assert not torch.equal(_corrupt(clean, TEXTS, "replacement", seeds=_seeds(50, 1))["ids"], all_rows)


@pytest.mark.parametrize(
    ("name", "specs", "options", "message"),
    [
        ("gaussian", TEXTS, {}, "the corruption 'gaussian' takes numbers, and 'ids' holds ids; choose 'masking'"),
        ("salt-and-pepper", TEXTS, {}, "the corruption 'salt-and-pepper' takes numbers, and 'ids' holds ids"),
        ("replacement", OPEN, {}, "needs a range with two ends, and 'values' goes from -inf to inf; choose 'masking'"),
        ("masking", {"mask": TEXTS["mask"]}, {}, "the corruption 'masking' finds only masks in mask; use another"),
        (
            "masking",
            NUMBERS,
            {"scale": 0.1},
            "'scale' is for another 'corruption', got scale 0.1 and corruption 'masking'; drop",
        ),
        (
            "gaussian",
            NUMBERS,
            {"share": 0.1},
            "'share' is for another 'corruption', got share 0.1 and corruption 'gaussian'; drop",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(name, specs, options, message):
    with pytest.raises(SpecError, match=message):
        Corruption(Declared(specs), name, **{"share": None, "scale": None, **options})


def _inputs():
    """Return one input of numbers that are known to lie between -1 and 1."""
    bounded = Declared({"numbers": TensorSpec("float32", ("batch", WIDTH), -1, 1)})
    return {"row": replace(number_inputs("row")["row"], modality=bounded)}


def _batch(rows=8):
    batch = number_batch("row", rows=rows, seed=1)
    return Batch({"row": {"numbers": batch.inputs["row"]["numbers"].clamp(-1, 1)}}, batch.present)


def _model(model=DenoisingAutoencoder, **options):
    torch.manual_seed(0)
    return model(_inputs(), 3, **options)


def _measured(model, batch):
    return model.metrics([batch], generator=torch.Generator().manual_seed(0))


class TestDenoising(ObjectiveContract):
    @pytest.fixture
    def objective(self):
        return _model()

    @pytest.fixture
    def batch(self):
        return _batch()


def test_the_damaged_input_is_encoded_and_the_clean_one_rebuilt():
    model, batch = _model(corruption="replacement", share=0.5), _batch()
    noise = model.noise(8, generator=torch.Generator().manual_seed(0))
    damaged = model.corruption(batch.inputs["row"], noise["corruption"])
    latent = model.posterior(model.encoder(damaged))["latent"]
    expected = -model.decoder(latent).log_prob(batch.inputs["row"])
    torch.testing.assert_close(model(batch, noise, "model").terms, {"denoised": expected})


def test_metrics_tell_clean_inputs_from_damaged_ones():
    model, batch = _model(share=0.9), _batch()
    found = _measured(model, batch)
    clean = model.decoder(model.posterior(model.encoder(batch.inputs["row"]))["latent"])
    assert found["reconstruction"] == pytest.approx(-clean.log_prob(batch.inputs["row"]).mean().item())
    error = (clean.mode()["numbers"] - batch.inputs["row"]["numbers"]).square().mean().item()
    assert found["reconstruction_error"] == pytest.approx(error)
    assert found["denoised"] != pytest.approx(found["reconstruction"])
    assert found["denoised_error"] != pytest.approx(error)


def _exact_nll(model, values):
    """Return -log p(x) of a linear Gaussian model, which has a closed form."""
    weight = model.decoder.layer.weight.double()
    marginal = torch.distributions.MultivariateNormal(
        model.decoder.layer.bias.double(), weight @ weight.T + torch.eye(WIDTH, dtype=torch.float64)
    )
    return -marginal.log_prob(values.double())


def test_importance_sampling_comes_to_the_exact_likelihood_from_above():
    model, values = _model(VAE), _batch(64).inputs["row"]["numbers"]
    with torch.no_grad():
        parameters, exact = model.posterior(model.encoder({"numbers": values})), _exact_nll(model, values)
        few, many = (
            importance_sampled_nll(
                model.decoder, parameters, {"numbers": values}, samples=k, generator=torch.Generator().manual_seed(0)
            ).double()
            for k in (1, 3000)
        )
    torch.testing.assert_close(many, exact, atol=0.1, rtol=0)
    assert few.mean() > many.mean() > exact.mean() - 0.01


def test_importance_samples_add_a_metric_and_change_none():
    plain, sampled = (_measured(_model(VAE, importance_samples=k), _batch()) for k in (0, 16))
    assert set(sampled) - set(plain) == {"nll"}
    assert {name: sampled[name] for name in plain} == plain
    assert sampled["nll"] < -sampled["elbo"]


def test_a_boolean_mask_of_fewer_axes_hides_whole_places():
    specs = {
        "values": replace(OPEN["values"], axes=("batch", "time", 4)),
        "mask": replace(TEXTS["mask"], axes=("batch", "time")),
    }
    tensors = {"values": torch.ones(20, 30, 4), "mask": torch.arange(30).expand(20, 30) < 15}
    damaged = _corrupt(tensors, specs, "masking", share=0.9)["values"]
    assert (damaged[:, 15:] == 1).all()
    assert (damaged[:, :15] == 0).float().mean() > 0.8
