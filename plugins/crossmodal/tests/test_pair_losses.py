import math
from unittest.mock import create_autospec

import pytest
import torch
import torch.nn.functional as F
from zoo_crossmodal.alignment import Alignment
from zoo_crossmodal.contrastive import Contrastive
from zoo_crossmodal.infonce import InfoNCE
from zoo_crossmodal.shared_space import squared_distances
from zoo_crossmodal.sigmoid import Sigmoid
from zoo_crossmodal.triplet import Triplet

from zoo import Encoder, Input, Modality, Model, SpecError
from zoo.recipes.training import Training
from zoo.testing import number_batch
from zoo.training.launching import accelerator_for
from zoo.training.loop import Loop


class Silent(Encoder):
    """An encoder that is not asked: these tests begin at the embeddings."""

    feature_dim = 3

    def forward(self, tensors):
        raise NotImplementedError


def an_objective(*, objective=InfoNCE, **options):
    return objective(
        {name: Input(create_autospec(Modality), Silent, None) for name in ("caption", "picture")}, 5, **options
    )


@pytest.mark.parametrize(
    ("objective", "options", "expected"),
    [
        (InfoNCE, {"temperature": 1.0}, [0.6178134, 0.4557003]),
        (Sigmoid, {"scale": 1.0, "bias": 0.0}, [1.1306351, 1.4843624]),
        (Contrastive, {"margin": 1.0}, [0.4337722, 0.0337722]),
        (Triplet, {"mining": "hard", "margin": 0.2}, [0.3, 0.0]),
        (Triplet, {"mining": "hard", "margin": 2.0}, [1.6, 0.8]),
        (Triplet, {"mining": "semi-hard", "margin": 0.2}, [0.0, 0.0]),
        (Triplet, {"mining": "semi-hard", "margin": 2.0}, [0.4, 0.8]),
        (Triplet, {"mining": "all", "margin": 0.2}, [0.3, 0.0]),
        (Alignment, {"guard": "none"}, [0.8, 0.0]),
    ],
)
def test_two_rows_have_the_loss_that_was_worked_out_by_hand(objective, options, expected):
    # Similarities 0.6, 0 / 0.8, 1; squared distances 0.8, 2 / 0.4, 0.
    first, second = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    found = an_objective(objective=objective, **options).pair_loss(first, second)
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-6, rtol=0)


def test_label_smoothing_raises_the_lowest_loss():
    sharp, smooth = an_objective(temperature=0.01), an_objective(temperature=0.01, label_smoothing=0.2)
    identity = torch.eye(5)
    assert smooth.pair_loss(identity, identity).mean() > sharp.pair_loss(identity, identity).mean() + 1


def test_the_temperature_is_learnt_only_where_asked():
    assert "log_scale" in dict(an_objective().named_parameters())
    assert "log_scale" in dict(an_objective(learn_temperature=False).named_buffers())


@pytest.mark.parametrize(
    ("kind", "options", "alike"),
    [(InfoNCE, {"temperature": 0.011}, 10.0), (Sigmoid, {"scale": 90.0, "bias": -99.5}, 0.0)],
)
def test_a_scale_that_is_pressed_against_a_hundred_comes_back_within_twenty_steps_that_ask_for_less(
    kind, options, alike, tmp_path
):
    near = F.normalize(torch.eye(8) + alike * torch.eye(8)[:1], dim=1)
    objective, partners = an_objective(objective=kind, **options), {"caption": near, "picture": near}
    objective.embed = lambda name, tensors: partners[name]
    settings = Training(steps=100, batch_size=8, learning_rate=0.1)
    loop = Loop(Model(None, {}, objective, None), settings, accelerator_for(settings, tmp_path))
    batch = number_batch("caption", "picture", rows=8)
    for step in range(60):
        loop.step(step, batch, 8)
    torch.testing.assert_close(objective.log_scale.exp().detach(), torch.tensor(100.0))
    partners["picture"] = near.roll(1, 0)
    for step in range(60, 80):
        loop.step(step, batch, 8)
    assert objective.log_scale.exp() < 99


def test_a_scale_beyond_its_bound_is_brought_back_before_the_first_step(tmp_path):
    objective = an_objective()
    objective.log_scale.data.fill_(math.log(500))
    settings = Training(batch_size=8)
    Loop(Model(None, {}, objective, None), settings, accelerator_for(settings, tmp_path))
    torch.testing.assert_close(objective.log_scale.exp().detach(), torch.tensor(100.0))


def embeddings(rows=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (F.normalize(torch.randn(rows, 5, generator=generator), dim=1) for _ in range(2))


def test_the_sigmoid_loss_asks_every_two_rows():
    objective, (first, second) = an_objective(objective=Sigmoid, scale=3.0, bias=-2.0), embeddings()
    for row in range(6):
        expected = sum(
            F.binary_cross_entropy_with_logits(
                3.0 * first[row] @ second[other] - 2.0, torch.tensor(float(row == other))
            )
            for other in range(6)
        )
        torch.testing.assert_close(objective.pair_loss(first, second)[row], expected)


def test_the_contrastive_loss_is_that_of_pairs_and_of_intruders():
    objective, (first, second) = an_objective(objective=Contrastive, margin=1.2), embeddings()
    distances = torch.cdist(first, second)
    for row in range(6):
        others = [other for other in range(6) if other != row]
        intruders = torch.cat([distances[row, others], distances[others, row]])
        expected = (distances[row, row] ** 2 + (1.2 - intruders).clamp(min=0).square().mean()) / 2
        torch.testing.assert_close(objective.pair_loss(first, second)[row], expected)


@pytest.mark.parametrize("mining", ["hard", "semi-hard", "all"])
def test_the_triplet_loss_takes_the_others_that_mining_says(mining):
    objective, (first, second) = an_objective(objective=Triplet, margin=0.5, mining=mining), embeddings(seed=3)
    distances = torch.cdist(first, second).square()
    found = objective.pair_loss(first, second)
    for row in range(6):
        expected = 0.0
        for line in (distances[row], distances[:, row]):
            others = [float(line[other]) for other in range(6) if other != row]
            partner = float(line[row])
            if mining == "hard":
                taken = [min(others)]
            elif mining == "semi-hard":
                taken = sorted(other for other in others if other > partner)[:1]
            else:
                taken = [other for other in others if other < partner + 0.5]
            expected += sum(max(0.0, 0.5 + partner - other) for other in taken) / max(1, len(taken)) / 2
        assert found[row].item() == pytest.approx(expected, abs=1e-5)


def test_distances_of_equal_embeddings_are_zero():
    first, _ = embeddings()
    assert squared_distances(first, first).diagonal().abs().max() < 1e-6


def test_distances_do_not_hang_on_how_far_the_embeddings_lie_from_zero():
    first, second = embeddings()
    expected = torch.cdist(first.double(), second.double()).square()
    found = squared_distances(first + 1024, second + 1024)
    moved = torch.cdist((first + 1024).double(), (second + 1024).double()).square()
    torch.testing.assert_close(found.double(), moved, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(squared_distances(first, second).double(), expected, rtol=1e-5, atol=1e-6)


def test_a_guard_of_reconstruction_needs_decoders():
    with pytest.raises(
        SpecError, match=r"needs a decoder of every input, 'caption' has none; add one as spec.inputs.cap"
    ):
        an_objective(objective=Alignment, guard="reconstruction")
