from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from zoo_crossmodal.alignment import Alignment
from zoo_crossmodal.contrastive import Contrastive
from zoo_crossmodal.infonce import InfoNCE
from zoo_crossmodal.shared_space import EmbeddingHead
from zoo_crossmodal.sigmoid import Sigmoid
from zoo_crossmodal.triplet import Triplet

from zoo import Batch, DataError, SpecError
from zoo.testing import ObjectiveContract, number_batch, number_inputs


def an_objective(*names, objective=InfoNCE, decoders=False, seed=0, **options):
    torch.manual_seed(seed)
    inputs = number_inputs(*(names or ("caption", "picture")))
    if not decoders:
        inputs = {name: replace(place, make_decoder=None) for name, place in inputs.items()}
    return objective(inputs, 5, **options)


def a_batch(*names, rows=8, seed=0):
    return number_batch(*(names or ("caption", "picture")), rows=rows, seed=seed)


def with_gaps(batch, **rows):
    present = {name: there.clone() for name, there in batch.present.items()}
    for name, missing in rows.items():
        present[name][missing] = False
    return Batch(batch.inputs, present).with_clean_gaps()


def losses_of(objective, batch):
    return objective.losses(batch, {}, player="model")


def loss_and_gradients(objective, batch):
    objective.zero_grad()
    loss = losses_of(objective, batch).loss
    loss.backward()
    return [loss.detach(), *(parameter.grad.clone() for parameter in objective.parameters())]


KINDS = [
    (InfoNCE, {}),
    (InfoNCE, {"learn_temperature": False, "label_smoothing": 0.1}),
    (Sigmoid, {}),
    (Contrastive, {}),
    (Triplet, {"mining": "hard"}),
    (Triplet, {"mining": "semi-hard"}),
    (Triplet, {"mining": "all"}),
    (Alignment, {"guard": "none"}),
    (Alignment, {"guard": "variance"}),
    (Alignment, {"guard": "reconstruction", "decoders": True}),
]
EXPORTED_BELOW = {"test_every_graph_exports_with_parity": "exported below, once for each structure of a graph"}
EVERY_KIND = pytest.mark.parametrize(("kind", "options"), KINDS, ids=lambda part: getattr(part, "__name__", None))


@EVERY_KIND
class TestEveryKind(ObjectiveContract):
    @pytest.fixture
    def objective(self, kind, options):
        return an_objective(objective=kind, **options)

    @pytest.fixture
    def batch(self):
        return a_batch()

    contract_exceptions = EXPORTED_BELOW


@EVERY_KIND
class TestEveryKindOfThreeInputs(ObjectiveContract):
    @pytest.fixture
    def objective(self, kind, options):
        return an_objective("caption", "picture", "sound", objective=kind, **options)

    @pytest.fixture
    def batch(self):
        return a_batch("caption", "picture", "sound")

    contract_exceptions = EXPORTED_BELOW


@pytest.mark.parametrize(
    ("kind", "options"), [(InfoNCE, {}), (Alignment, {"guard": "reconstruction", "decoders": True})]
)
def test_every_graph_exports_with_parity(kind, options, tmp_path):
    ObjectiveContract().test_every_graph_exports_with_parity(an_objective(objective=kind, **options), tmp_path)


@EVERY_KIND
def test_a_row_of_fewer_inputs_than_it_says_takes_part_in_no_pair(kind, options):
    objective, batch = an_objective(objective=kind, **options), a_batch()
    assert objective.fewest_inputs == 2
    apart = with_gaps(batch, caption=[0, 2, 4, 6], picture=[1, 3, 5, 7])
    assert losses_of(objective, apart).counts()["caption~picture"] == 0
    assert losses_of(objective, batch).counts()["caption~picture"] == 8


@EVERY_KIND
def test_gaps_mixed_in_a_batch_leave_each_pair_its_complete_rows(kind, options):
    names = ("caption", "picture", "sound")
    objective, batch = an_objective(*names, objective=kind, **options), a_batch(*names)
    gappy = with_gaps(batch, caption=[1, 4], picture=[4, 6], sound=[0, 4])
    losses = losses_of(objective, gappy)
    for term, rows in {"caption~picture": [0, 2, 3, 5, 7], "picture~sound": [1, 2, 3, 5, 7]}.items():
        alone = losses_of(objective, gappy.take(torch.tensor(rows))).terms[term]
        torch.testing.assert_close(losses.terms[term][rows], alone)
        assert losses.terms[term].count_nonzero() <= len(rows)
    assert losses.weight[4] == 0


@EVERY_KIND
def test_mixed_precision_rounds_neither_the_rows_that_count_nor_the_loss(kind, options):
    objective, batch = an_objective(objective=kind, **options), a_batch(rows=301)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = losses_of(objective, with_gaps(batch, caption=[300]))
    expected = losses_of(objective, with_gaps(batch, caption=[300]))
    assert mixed.weight.sum() == expected.weight.sum()
    assert {mixed.loss.dtype, *(term.dtype for term in mixed.terms.values())} == {torch.float32}
    torch.testing.assert_close(mixed.loss, expected.loss, rtol=1e-2, atol=0)


def test_the_loss_is_the_mean_cross_entropy_of_both_directions():
    objective, batch = an_objective(temperature=0.5), a_batch()
    caption, picture = (objective.embed(name, batch.inputs[name]) for name in ("caption", "picture"))
    logits, partner = caption @ picture.T / 0.5, torch.arange(8)
    expected = (F.cross_entropy(logits, partner) + F.cross_entropy(logits.T, partner)) / 2
    torch.testing.assert_close(losses_of(objective, batch).loss, expected)


def test_the_loss_is_the_sum_of_the_means_of_its_terms():
    names = ("caption", "picture", "sound")
    losses = losses_of(an_objective(*names), with_gaps(a_batch(*names), sound=[1, 2], caption=[2, 5]))
    assert list(losses.terms) == ["caption~picture", "caption~sound", "picture~sound"]
    torch.testing.assert_close(losses.loss, torch.stack(list(losses.means().values())).sum())


@EVERY_KIND
def test_with_gaps_each_term_is_divided_by_the_rows_that_it_concerns(kind, options):
    names = ("caption", "picture", "sound")
    objective, batch = an_objective(*names, objective=kind, **options), a_batch(*names)
    gappy = with_gaps(batch, sound=[0, 1, 2, 3, 4, 5], caption=[7])
    losses = losses_of(objective, gappy)
    rows = {"caption~picture": 7, "caption~sound": 1, "picture~sound": 2, "caption": 7, "picture": 8, "sound": 2}
    means = {name: term.sum() / rows[name.rpartition("_")[2]] for name, term in losses.terms.items()}
    torch.testing.assert_close(losses.loss, torch.stack(list(means.values())).sum())
    torch.testing.assert_close(dict(losses.means()), means)


def test_a_pair_that_two_of_eight_rows_have_has_the_loss_of_these_two():
    names = ("caption", "picture", "sound")
    objective, batch = an_objective(*names), a_batch(*names)
    found = losses_of(objective, with_gaps(batch, sound=slice(2, 8))).means()["caption~sound"]
    torch.testing.assert_close(found, losses_of(objective, batch.take(torch.tensor([0, 1]))).means()["caption~sound"])


def test_the_guard_of_an_input_that_few_rows_have_counts_as_any_other():
    objective, batch = an_objective(objective=Alignment), a_batch()
    few, alone = with_gaps(batch, caption=slice(3, 8)), batch.take(torch.arange(3))
    guards = [losses_of(objective, rows).means()["variance_caption"] for rows in (few, alone)]
    torch.testing.assert_close(*guards)


def test_a_gappy_batch_has_the_loss_and_gradients_of_the_batch_without_those_pairs():
    objective, batch = an_objective().double(), a_batch()
    batch = Batch({name: {"numbers": t["numbers"].double()} for name, t in batch.inputs.items()}, batch.present)
    gappy = loss_and_gradients(objective, with_gaps(batch, caption=[1, 4], picture=[4, 6]))
    shorter = loss_and_gradients(objective, batch.take(torch.tensor([0, 2, 3, 5, 7])))
    for one, other in zip(gappy, shorter, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_a_row_with_two_of_three_inputs_takes_part_in_their_pair_alone():
    names = ("caption", "picture", "sound")
    objective, batch = an_objective(*names), a_batch(*names)
    gappy, full = losses_of(objective, with_gaps(batch, sound=[3])), losses_of(objective, batch)
    torch.testing.assert_close(gappy.terms["caption~picture"], full.terms["caption~picture"])
    assert gappy.terms["caption~sound"][3] == 0
    assert gappy.weight.tolist() == [1] * 8


def test_a_row_with_one_input_counts_for_nothing():
    losses = losses_of(an_objective(), with_gaps(a_batch(), picture=[3]))
    assert losses.weight[3] == 0
    assert losses.terms["caption~picture"][3] == 0


def test_a_batch_without_a_complete_pair_has_zero_loss_and_zero_gradients():
    objective = an_objective()
    everything = loss_and_gradients(objective, with_gaps(a_batch(), caption=slice(0, 4), picture=slice(4, 8)))
    assert all((tensor == 0).all() for tensor in everything)


def test_one_complete_pair_has_no_wrong_answers():
    loss = losses_of(an_objective(), a_batch(rows=1)).loss
    assert loss.item() == 0


def test_embeddings_have_length_one():
    objective, batch = an_objective(), a_batch()
    lengths = objective.embed("caption", batch.inputs["caption"]).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(8))


def test_features_of_zero_have_a_finite_embedding_and_gradient():
    head = EmbeddingHead(3, 2)
    nn.init.zeros_(head.projection.bias)
    features = torch.zeros(1, 3, requires_grad=True)
    embedding = head(features)["embedding"]
    embedding.sum().backward()
    assert embedding.tolist() == [[0, 0]]
    assert features.grad.isfinite().all()


def test_each_input_has_a_graph_that_gives_its_embedding():
    graphs = {graph.name: graph for graph in an_objective().graphs()}
    assert list(graphs) == ["encode_caption", "encode_picture", "embed"]
    assert list(graphs["encode_caption"].outputs) == ["encode_caption.embedding"]


@pytest.mark.parametrize(("kind", "options"), [(InfoNCE, {}), (Alignment, {"guard": "none"})])
def test_the_graph_of_all_inputs_gives_the_mean_of_the_embeddings_that_are_there(kind, options):
    names = ("caption", "picture", "sound")
    objective, batch = an_objective(*names, objective=kind, **options).eval(), a_batch(*names)
    gappy = with_gaps(batch, caption=[0, 3], picture=[0, 1, 3], sound=[3])
    embed = {graph.name: graph for graph in objective.graphs()}["embed"]
    tensors = {f"{name}.numbers": batch.inputs[name]["numbers"] for name in names}
    found = embed.module(tensors | {f"{name}.present": gappy.present[name] for name in names})["embed.embedding"]
    each = torch.stack([objective.embed(name, batch.inputs[name]) for name in names])
    both, one = (each[:, 1] * torch.tensor([[1.0], [0], [1]])).sum(0) / 2, each[2, 0]
    if kind is InfoNCE:
        both = both / both.norm()
    torch.testing.assert_close(found[:2], torch.stack([one, both]))
    assert found[3].tolist() == [0] * 5


def test_of_three_inputs_the_others_together_ask_for_each():
    names = ("caption", "picture", "sound")
    found = an_objective(*names).metrics([a_batch(*names)], generator=torch.Generator())
    asked = {name.partition("_to_")[0] for name in found}
    assert asked == {*names, "caption+picture", "caption+sound", "picture+sound"}
    assert "caption+picture_to_sound.map" in found


def test_trained_embeddings_find_their_partners():
    objective, batch = an_objective(), a_batch(rows=16)
    optimiser = torch.optim.Adam(objective.parameters(), lr=2e-2)
    for _ in range(150):
        loss = losses_of(objective, batch).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    metrics = objective.metrics([batch], generator=torch.Generator())
    assert metrics["caption_to_picture.recall@1"] > 0.9
    assert metrics["picture_to_caption.median_rank"] == 1
    assert metrics["caption_to_picture.chance@10"] == 10 / 16


def test_metrics_join_batches_and_leave_out_rows_with_a_gap():
    objective = an_objective()
    first, second = a_batch(rows=5), with_gaps(a_batch(rows=4, seed=1), caption=[0])
    joined = Batch(
        {name: {"numbers": torch.cat([b.inputs[name]["numbers"] for b in (first, second)])} for name in first.inputs},
        {name: torch.cat([b.present[name] for b in (first, second)]) for name in first.present},
    )
    found = objective.metrics([first, second], generator=torch.Generator())
    assert found["caption_to_picture.gallery"] == 8
    assert found == objective.metrics(
        [joined.take(torch.tensor([0, 1, 2, 3, 4, 6, 7, 8]))], generator=torch.Generator()
    )


def test_a_collapsed_model_scores_nothing():
    objective = an_objective()
    with torch.no_grad():
        for head in objective.heads.values():
            head.projection.weight.zero_()
    metrics = objective.metrics([a_batch(rows=37)], generator=torch.Generator())
    assert metrics["caption_to_picture.recall@10"] == 0
    assert metrics["caption_to_picture.median_rank"] == 37


def test_metrics_of_no_batches_are_refused():
    with pytest.raises(DataError, match="there is nothing to measure on: expected at least one batch, got none"):
        an_objective().metrics([], generator=torch.Generator())


def test_metrics_without_a_row_of_two_inputs_are_refused():
    gappy = with_gaps(a_batch(), caption=slice(0, 4), picture=slice(4, 8))
    with pytest.raises(
        DataError,
        match=r"^no held-out row has two of the inputs caption, picture, so retrieval cannot be measured; choose ",
    ):
        an_objective().metrics([gappy], generator=torch.Generator())


def test_one_input_has_nothing_to_be_compared_with():
    with pytest.raises(SpecError, match=r"compares inputs and needs at least two, got caption; add another table"):
        an_objective("caption")


def test_alignment_is_the_squared_distance_exactly():
    objective, batch = an_objective(objective=Alignment, guard="none"), a_batch()
    caption, picture = (objective.embed(name, batch.inputs[name]) for name in ("caption", "picture"))
    torch.testing.assert_close(losses_of(objective, batch).loss, (caption - picture).square().sum(dim=1).mean())


def test_the_variance_guard_counts_what_the_dimensions_lack():
    objective, batch = an_objective(objective=Alignment, guard_weight=3.0), a_batch()
    found = losses_of(objective, batch).means()["variance_caption"]
    caption = objective.embed("caption", batch.inputs["caption"])
    covariance = torch.cov(caption.T)
    lack = (1 - (covariance.diagonal() + 1e-4).sqrt()).clamp(min=0).sum()
    off_diagonal = (covariance - covariance.diagonal().diag()).square().sum()
    torch.testing.assert_close(found, 3.0 * (lack + off_diagonal / 25))


def test_the_reconstruction_guard_rebuilds_each_input_from_its_own_embedding():
    objective, batch = an_objective(objective=Alignment, decoders=True, guard="reconstruction"), a_batch()
    expected = -objective.decoders["picture"](objective.embed("picture", batch.inputs["picture"])).log_prob(
        batch.inputs["picture"]
    )
    torch.testing.assert_close(losses_of(objective, batch).terms["reconstruction_picture"], expected)
    assert [graph.name for graph in objective.graphs()][3:] == ["decode_caption", "decode_picture"]


@pytest.mark.parametrize(
    ("options", "collapses"),
    [({"guard": "none"}, True), ({"guard": "variance"}, False), ({"guard": "reconstruction", "decoders": True}, False)],
)
def test_without_a_guard_alignment_collapses_and_with_one_it_does_not(options, collapses):
    objective, batch = an_objective(objective=Alignment, **options), a_batch(rows=64)
    before = objective.metrics([batch], generator=torch.Generator())
    optimiser = torch.optim.Adam(objective.parameters(), lr=1e-2)
    for _ in range(300):
        optimiser.zero_grad()
        losses_of(objective, batch).loss.backward()
        optimiser.step()
    after = objective.metrics([batch], generator=torch.Generator())
    assert (after["caption.spread"] < 0.2 * before["caption.spread"]) == collapses
