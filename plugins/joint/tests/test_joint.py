import math

import pytest
import torch
from zoo_joint.experts import Gaussians, products, subsets_of
from zoo_joint.fusion import Fusion
from zoo_joint.mmvae import MMVAE
from zoo_joint.mopoe import MoPoE
from zoo_joint.mvae import MVAE

from zoo import Batch, SpecError
from zoo.testing import ObjectiveContract, number_batch, number_inputs

NAMES = ("caption", "picture", "sound")
KINDS = [(Fusion, {}), (MVAE, {}), (MVAE, {"subsampling": False}), (MoPoE, {}), (MMVAE, {"samples": 3})]
EVERY_KIND = pytest.mark.parametrize(("kind", "options"), KINDS, ids=lambda part: getattr(part, "__name__", None))
# Every subset of three inputs, the empty one last.
PATTERNS = torch.cat([subsets_of(3), torch.zeros(1, 3, dtype=torch.bool)])


def a_model(kind, options, names=NAMES):
    torch.manual_seed(0)
    return kind(number_inputs(*names), 5, **options)


def noise_of(model, rows):
    return model.noise(rows, generator=torch.Generator().manual_seed(0))


def gappy():
    batch = number_batch(*NAMES, rows=len(PATTERNS))
    return Batch(batch.inputs, {name: PATTERNS[:, place] for place, name in enumerate(NAMES)})


def features_of(model, batch):
    return model.posterior(model.features(batch.with_clean_gaps()), batch.present)["latent"]


@EVERY_KIND
class TestEveryKind(ObjectiveContract):
    @pytest.fixture
    def objective(self, kind, options):
        return a_model(kind, options, NAMES[:2])

    @pytest.fixture
    def batch(self):
        return number_batch(*NAMES[:2])


@EVERY_KIND
def test_rows_of_every_pattern_of_gaps_have_the_losses_and_latents_that_they_have_alone(kind, options):
    model, batch = a_model(kind, options).eval(), gappy()
    noise = noise_of(model, batch.rows)
    together, latents = model(batch, noise, "model"), features_of(model, batch)
    for row in range(batch.rows):
        alone = batch.take(torch.tensor([row]))
        found = model(alone, {name: drawn[row : row + 1] for name, drawn in noise.items()}, "model")
        for name, term in found.terms.items():
            torch.testing.assert_close(term[0], together.terms[name][row], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(features_of(model, alone)[0], latents[row], atol=1e-6, rtol=1e-5)
    assert together.weight.tolist() == [1.0] * 7 + [0.0]


@EVERY_KIND
def test_a_nan_in_a_gap_changes_no_latent(kind, options):
    model, batch = a_model(kind, options).eval(), gappy()
    poisoned = {
        name: {"numbers": torch.where(batch.present[name].unsqueeze(1), tensors["numbers"], math.nan)}
        for name, tensors in batch.inputs.items()
    }
    torch.testing.assert_close(
        features_of(model, Batch(poisoned, batch.present)), features_of(model, batch), atol=0, rtol=0
    )


@EVERY_KIND
def test_the_graphs_are_all_that_can_be_asked(kind, options):
    names = {graph.name for graph in a_model(kind, options, NAMES[:2]).graphs()}
    assert names == {
        *(f"{verb}_{name}" for verb in ("encode", "decode") for name in NAMES[:2]),
        "translate_caption_to_picture",
        "translate_picture_to_caption",
        "embed",
    }


@EVERY_KIND
def test_embedding_one_input_alone_is_encoding_it(kind, options):
    model = a_model(kind, options).eval()
    graphs = {graph.name: graph for graph in model.graphs()}
    batch = number_batch(*NAMES)
    nowhere = torch.zeros(batch.rows, dtype=torch.bool)
    given = {f"{name}.numbers": batch.inputs[name]["numbers"] for name in NAMES}
    present = {f"{name}.present": ~nowhere if name == "picture" else nowhere for name in NAMES}
    embedded = graphs["embed"].module({**given, **present})["embed.latent"]
    encoded = graphs["encode_picture"].module({"picture.numbers": given["picture.numbers"]})["encode_picture.latent"]
    torch.testing.assert_close(embedded, encoded, atol=1e-6, rtol=1e-6)


@EVERY_KIND
def test_metrics_name_each_reconstruction_and_translation(kind, options):
    found = a_model(kind, options, NAMES[:2]).eval().metrics([gappy()], generator=torch.Generator())
    assert set(found) == {
        "reconstruction_caption",
        "reconstruction_picture",
        "translation_caption_to_picture",
        "translation_picture_to_caption",
    }


@EVERY_KIND
def test_one_input_is_refused(kind, options):
    with pytest.raises(SpecError, match=r"joins inputs and needs at least two, got caption; add another table"):
        kind(number_inputs("caption"), 5, **options)


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


def test_a_mixture_of_products_draws_its_components_in_equal_shares():
    model, batch = a_model(MoPoE, {}), gappy()
    _, shares = model.posterior.components(model.features(batch), batch.present)
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


def test_no_samples_are_refused():
    with pytest.raises(SpecError, match="samples is a number of latents from each expert, at least 1, got 0"):
        a_model(MMVAE, {"samples": 0})
