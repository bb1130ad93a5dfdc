import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from zoo_crossmodal.infonce import EmbeddingHead, InfoNCE

from zoo import Batch, DataError, Encoder, Input, SpecError, TensorSpec
from zoo.testing import ObjectiveContract


class Numbers:
    """A modality of four numbers a value."""

    tensors = {"numbers": TensorSpec("float32", ("batch", 4))}  # noqa: RUF012
    axes = {}  # noqa: RUF012

    def fit(self, values):
        return self

    def state(self):
        return {}

    def with_state(self, state):
        return self

    def to_arrays(self, values):
        return {"numbers": np.asarray(values, dtype=np.float32)}

    def from_arrays(self, arrays):
        return list(arrays["numbers"])

    def example(self, batch, sizes, *, generator):
        return {"numbers": generator.standard_normal((batch, 4), dtype=np.float32)}

    def draw(self, value):
        return Image.new("RGB", (8, 8))


class Linear(Encoder):
    """One layer."""

    def __init__(self, modality):
        super().__init__()
        self.feature_dim = 6
        self.layer = nn.Linear(4, 6)

    def forward(self, tensors):
        return self.layer(tensors["numbers"]).tanh()


def an_objective(*names, seed=0, **options):
    torch.manual_seed(seed)
    inputs = {name: Input(Numbers(), lambda: Linear(Numbers()), None) for name in names or ("caption", "picture")}
    return InfoNCE(inputs, 5, **options)


def a_batch(*names, rows=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    names = names or ("caption", "picture")
    return Batch(
        {name: {"numbers": torch.randn(rows, 4, generator=generator)} for name in names},
        {name: torch.ones(rows, dtype=torch.bool) for name in names},
    )


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


class TestInfoNCE(ObjectiveContract):
    @pytest.fixture
    def objective(self):
        return an_objective()

    @pytest.fixture
    def batch(self):
        return a_batch()


class TestInfoNCEOfThreeInputs(ObjectiveContract):
    @pytest.fixture
    def objective(self):
        return an_objective("caption", "picture", "sound", learn_temperature=False, label_smoothing=0.1)

    @pytest.fixture
    def batch(self):
        return a_batch("caption", "picture", "sound")


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


def test_label_smoothing_raises_the_lowest_loss():
    torch.manual_seed(0)
    sharp, smooth = an_objective(temperature=0.01), an_objective(temperature=0.01, label_smoothing=0.2)
    identity = torch.eye(5)
    scale = sharp._scale()
    assert smooth._pair_loss(identity, identity, scale).mean() > sharp._pair_loss(identity, identity, scale).mean() + 1


def test_the_temperature_is_learnt_only_where_asked():
    assert "log_scale" in dict(an_objective().named_parameters())
    assert "log_scale" in dict(an_objective(learn_temperature=False).named_buffers())


def test_the_scale_never_exceeds_a_hundred_and_can_come_back():
    objective = an_objective()
    with torch.no_grad():
        objective.log_scale.fill_(math.log(500))
    scale = objective._scale()
    scale.backward()
    torch.testing.assert_close(scale.detach(), torch.tensor(100.0))
    assert objective.log_scale.grad > 0


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
    assert list(graphs) == ["encode_caption", "encode_picture"]
    assert list(graphs["encode_caption"].outputs) == ["encode_caption.embedding"]


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


def test_one_input_has_nothing_to_be_compared_with():
    with pytest.raises(SpecError, match=r"compares inputs and needs at least two, got caption; add another table"):
        an_objective("caption")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.001}, "the option 'temperature' is at least 0.01, got 0.001"),
        ({"temperature": math.nan}, "the option 'temperature' is at least 0.01, got nan"),
        ({"label_smoothing": 1.0}, "the option 'label_smoothing' is at least 0 and less than 1, got 1.0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        an_objective(**options)
