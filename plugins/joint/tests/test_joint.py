"""What holds of every joint model: gaps, terms, graphs, metrics by subset."""

import math

import pytest
import torch
from three_inputs import NAMES, PATTERNS, a_model, gappy, noise_of
from zoo_joint.cvae import CVAE
from zoo_joint.dmvae import DMVAE
from zoo_joint.fusion import Fusion
from zoo_joint.jmvae import JMVAE
from zoo_joint.mmvae import MMVAE
from zoo_joint.mopoe import MoPoE
from zoo_joint.mvae import MVAE
from zoo_joint.mvtcae import MVTCAE
from zoo_onnx.exporter import OnnxExporter

from zoo import Batch, SpecError
from zoo.exporting.judging import judge, make_cases
from zoo.testing import ObjectiveContract, number_batch, number_inputs

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
# Encoders of two inputs are alike, and so are both directions; decoders are the inputs' own, or wrap these.
EXPORTED = ["encode_caption", "translate_picture_to_caption", "embed"]
EXPORTED_KINDS = [(kind, options, EXPORTED) for kind, options in KINDS if "subsampling" not in options]
EXPORTED_KINDS += [(Fusion, {}, ["decode_caption"]), (DMVAE, {"private_dim": 2}, ["decode_caption"])]
EVERY_KIND = pytest.mark.parametrize(("kind", "options"), KINDS, ids=lambda part: getattr(part, "__name__", None))


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
    """Rows that lack the needed inputs change no number."""
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


def test_a_target_that_is_no_input_is_refused():
    with pytest.raises(SpecError, match="'target' is the input to generate, one of caption, picture, got 'sound'"):
        a_model(CVAE, {"target": "sound"}, NAMES[:2])
