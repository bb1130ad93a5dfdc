import math

import pytest
import torch
from zoo_joint.cvae import CVAE
from zoo_joint.dmvae import DMVAE
from zoo_joint.experts import products, subsets_of
from zoo_joint.fusion import Fusion
from zoo_joint.jmvae import JMVAE
from zoo_joint.mixtures import Gaussians, Mixture
from zoo_joint.mmvae import MMVAE
from zoo_joint.mopoe import MoPoE
from zoo_joint.mvae import MVAE
from zoo_joint.mvtcae import MVTCAE
from zoo_onnx.exporter import OnnxExporter

from zoo import Batch, SpecError
from zoo.exporting.judging import judge, make_cases
from zoo.testing import ObjectiveContract, number_batch, number_inputs

NAMES = ("caption", "picture", "sound")
KINDS = [
    (Fusion, {}),
    (MVAE, {}),
    (MVAE, {"subsampling": False}),
    (MoPoE, {}),
    (MMVAE, {"samples": 3}),
    (MVTCAE, {}),
    (JMVAE, {}),
    (DMVAE, {"private_dim": 2}),
    (CVAE, {"condition_dim": 3}),
]
# Encoders of two inputs are alike, and so are both directions; decoders are the inputs' own but where they read parts.
EXPORTED = ["encode_caption", "translate_picture_to_caption", "embed"]
EXPORTED_KINDS = [(kind, options, EXPORTED) for kind, options in KINDS if "subsampling" not in options]
EXPORTED_KINDS += [(Fusion, {}, ["decode_caption"]), (DMVAE, {"private_dim": 2}, ["decode_caption"])]
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

    contract_exceptions = {  # noqa: RUF012
        "test_every_graph_exports_with_parity": "exported below, once for each structure of a graph"
    }


@pytest.mark.parametrize(("kind", "options", "names"), EXPORTED_KINDS)
def test_every_structure_of_a_graph_exports_with_parity(kind, options, names, tmp_path):
    exporter = OnnxExporter()
    graphs = {graph.name: graph for graph in a_model(kind, options, NAMES[:2]).eval().graphs()}
    for name in names:
        path = tmp_path / f"{name}{exporter.suffix}"
        exporter.write(graphs[name], path)
        judge(
            graphs[name], make_cases(graphs[name]), exporter.open(graphs[name], path), exporter.open(graphs[name], path)
        )


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
    counted = PATTERNS[:, 0] if kind is CVAE else PATTERNS.any(1)
    assert together.weight.tolist() == counted.tolist()


@EVERY_KIND
def test_terms_are_logged_as_means_over_the_rows_that_they_concern(kind, options):
    model, batch = a_model(kind, options).eval(), gappy()
    losses = model(batch, noise_of(model, batch.rows), "model")
    for name, term in losses.terms.items():
        rows = PATTERNS[:, 0] if kind is CVAE else PATTERNS.any(1)
        stem, _, place = name.partition("_")
        if place:
            rows = rows & batch.present[place]
        if stem == "alone":
            rows = rows & (PATTERNS.sum(1) > 1)
        assert losses.rows[name].tolist() == rows.tolist(), name
        torch.testing.assert_close(losses.means()[name], term[rows].mean())
        assert not term[~rows].any(), name


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
    both_ways = {"decode_picture", "translate_caption_to_picture"} if kind is not CVAE else set()
    assert names == {
        "encode_caption",
        "encode_picture",
        "decode_caption",
        "translate_picture_to_caption",
        "embed",
        *both_ways,
    }


@EVERY_KIND
def test_embedding_one_input_alone_is_encoding_it(kind, options):
    model = a_model(kind, options).eval()
    graphs = {graph.name: graph for graph in model.graphs()}
    batch = number_batch(*NAMES)
    nowhere = torch.zeros(batch.rows, dtype=torch.bool)
    given = {f"{name}.numbers": batch.inputs[name]["numbers"] for name in NAMES}
    present = {f"{name}.present": ~nowhere if name == "picture" else nowhere for name in NAMES}
    embedded = graphs["embed"].module({**given, **present})
    encoded = graphs["encode_picture"].module({"picture.numbers": given["picture.numbers"]})
    for output in model.posterior.outputs:
        torch.testing.assert_close(
            embedded[f"embed.{output}"], encoded[f"encode_picture.{output}"], atol=1e-6, rtol=1e-5
        )


@EVERY_KIND
def test_metrics_are_told_by_subset(kind, options):
    sampled = {} if kind is Fusion else {"importance_samples": 2}
    model = a_model(kind, {**options, **sampled}, NAMES[:2]).eval()
    found = model.metrics([gappy()], generator=torch.Generator().manual_seed(0))
    subsets = {"caption": {"caption"}, "picture": {"picture"}, "caption+picture": {"caption", "picture"}}
    expected = set()
    for row, given in subsets.items():
        rebuilt, others = given & set(model.decoders), set(model.decoders) - given
        expected |= {f"{row}.{name}" for name in ("reconstruction", "nll") if rebuilt}
        expected |= {f"{row}.{name}" for name in ("translation", "conditional_nll") if others}
    if kind is Fusion:
        expected = {name for name in expected if "nll" not in name}
    if kind is CVAE:  # its likelihood is that of the target under conditions
        expected -= {"caption.nll", "caption+picture.nll"}
    assert set(found) == expected


@EVERY_KIND
def test_metrics_of_a_subset_are_those_of_the_rows_that_have_it(kind, options):
    """Rows that lack what is asked for change no number."""
    model = a_model(kind, options, NAMES[:2]).eval()
    batch = number_batch(*NAMES[:2])
    gap = torch.arange(batch.rows) % 2 == 0
    gapped = Batch(batch.inputs, {**batch.present, "picture": gap})
    whole = gapped.take(gap.nonzero().squeeze(1))
    names = {"caption.translation", "picture.reconstruction", "caption+picture.reconstruction"}
    found, expected = (
        model.metrics([rows.with_clean_gaps()], generator=torch.Generator().manual_seed(0)) for rows in (gapped, whole)
    )
    for name in names & set(expected):
        assert found[name] == pytest.approx(expected[name], rel=1e-5), name


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


def normal(mean, log_var):
    return torch.distributions.Normal(mean, (0.5 * log_var).exp())


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


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (MMVAE, {"samples": 0}, "samples is a number of latents from each expert, at least 1, got 0"),
        (MVAE, {"importance_samples": -1}, "importance_samples is a number of latents a row from 0, got -1"),
        (MVTCAE, {"alpha": 1.5}, "alpha is the share of the conditional bottleneck, from 0 to 1, got 1.5"),
        (JMVAE, {"alpha": 0.0}, "alpha weighs how the single experts learn from the joint one, above 0, got 0.0"),
        (DMVAE, {"private_dim": 0}, "private_dim is the size of each private latent, at least 1, got 0"),
        (CVAE, {"target": "sound"}, "target is the input to generate, one of caption, picture, got 'sound'"),
    ],
)
def test_options_that_make_no_sense_are_refused(kind, options, message):
    with pytest.raises(SpecError, match=message):
        a_model(kind, options, NAMES[:2])
