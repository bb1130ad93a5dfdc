"""The latent is probed for every label that parts the samples into classes, and for no other."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zoo.evaluation.evaluate import evaluate
from zoo.evaluation.probing import k_nearest, linear_probe, probed
from zoo.models.batches import load_rows
from zoo.protocols import Graph, Sample, TensorSpec
from zoo.recipes.spec import Evaluation
from zoo.training.train import train


class Point:
    """A row of two numbers, as much of a modality as reading needs."""

    tensors = {"place": TensorSpec("float32", ("batch", 2))}  # noqa: RUF012
    axes = {}  # noqa: RUF012

    def to_arrays(self, values):
        return {"place": np.array(values, np.float32).reshape(-1, 2)}


class Same(torch.nn.Module):
    def forward(self, tensors):
        return {"encode_point.latent": tensors["point.place"]}


def _model(kind="encode"):
    row = TensorSpec("float32", ("batch", 2))
    outputs = {"encode_point.latent": row}
    graph = Graph("any", Same(), {"point.place": row}, outputs, {}, lambda *_: {}, kind=kind, source="point")
    return SimpleNamespace(objective=torch.nn.Linear(1, 1), modalities={"point": Point()}, graphs=lambda raw: [graph])


def _samples(rows, seed, **labels):
    """Return points in four corners, told apart by their class, ``north-west`` and so on."""
    generator = np.random.default_rng(seed)
    corners = generator.integers(0, 2, (rows, 2)) * 2 - 1
    places = corners + 0.1 * generator.standard_normal((rows, 2))
    return [
        Sample(str(row), {"point": place}, {"corner": str(corner), **{key: make(row) for key, make in labels.items()}})
        for row, (place, corner) in enumerate(zip(places, corners, strict=True))
    ]


def _probed(training, samples, model=None, seed=0):
    model = model or _model()
    return probed(model, training, samples, load_rows(samples, model.modalities, where="here"), seed=seed)


def _clusters(rows, seed):
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(0, 3, (rows,), generator=generator)
    return torch.eye(3)[classes] + 0.4 * torch.randn(rows, 3, generator=generator), classes


def test_what_the_latent_tells_is_found_and_chance_is_beside_it():
    found = _probed(_samples(400, 0), _samples(200, 1))
    assert set(found) == {f"point.latent.corner.{name}" for name in ("knn@20", "probe", "chance")}
    assert found["point.latent.corner.knn@20"] == found["point.latent.corner.probe"] == 1
    assert 0.15 < found["point.latent.corner.chance"] < 0.35


def test_a_label_that_the_latent_does_not_tell_stays_at_chance():
    coin = np.random.default_rng(0).integers(0, 2, 400)
    found = _probed(_samples(400, 0, coin=lambda row: str(coin[row])), _samples(200, 1, coin=lambda row: str(row % 2)))
    assert 0.35 < found["point.latent.coin.probe"] < 0.65
    assert 0.35 < found["point.latent.coin.knn@20"] < 0.65


@pytest.mark.parametrize("label", [str, lambda row: "same", lambda row: str(row // 4 * 3 + row % 3)])
def test_labels_that_are_no_classes_are_left_out(label):
    found = _probed(_samples(100, 0, other=label), _samples(60, 1, other=label))
    assert {name.split(".")[2] for name in found} == {"corner"}


def test_a_label_whose_classes_all_are_new_is_left_out():
    found = _probed(_samples(100, 0, part=lambda row: f"a{row % 2}"), _samples(60, 1, part=lambda row: f"b{row % 2}"))
    assert not [name for name in found if ".part." in name]


def test_a_class_that_training_lacks_counts_as_missed():
    samples = _samples(60, 1)
    new = [replace(sample, labels={"corner": "nowhere"}) for sample in samples[:30]]
    found = _probed(_samples(400, 0), new + samples[30:])
    assert found["point.latent.corner.probe"] == found["point.latent.corner.knn@20"] == 0.5


def test_rows_without_the_input_or_the_label_are_left_out():
    samples = _samples(60, 1)
    gaps = [replace(samples[0], inputs={"point": None}, labels={"corner": "x"}), replace(samples[1], labels={})]
    assert _probed(_samples(400, 0), gaps + samples[2:]) == _probed(_samples(400, 0), samples[2:])


def test_a_graph_that_encodes_nothing_is_not_probed():
    assert _probed(_samples(40, 0), _samples(20, 1), _model("decode")) == {}


def test_at_most_ten_thousand_training_rows_are_taken_by_seed(monkeypatch):
    monkeypatch.setattr("zoo.evaluation.probing.TRAINING_ROWS", 8)
    noise = np.random.default_rng(5).integers(0, 2, 400)
    training = _samples(400, 0, noise=lambda row: str(noise[row]))
    samples = _samples(200, 1, noise=lambda row: str(row % 2))
    first, again, other = (_probed(training, samples, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


def test_neighbours_vote_and_a_tie_goes_to_the_nearer():
    training, classes = torch.tensor([[0.0], [1.0], [2.0], [3.0], [9.0]]), torch.tensor([1, 0, 0, 1, 1])
    assert k_nearest(training, classes, torch.tensor([[-1.0], [4.0]]), k=3).tolist() == [0, 0]
    assert k_nearest(training, classes, torch.tensor([[-1.0], [4.0]]), k=4).tolist() == [1, 1]
    assert k_nearest(training, classes, torch.tensor([[-1.0]]), k=20).tolist() == [1]


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_neighbours_are_those_of_exact_distances_however_far_from_zero(offset):
    generator = torch.Generator().manual_seed(0)
    training, latent = (torch.randn(rows, 8, generator=generator) + offset for rows in (300, 400))
    classes = torch.randint(0, 5, (300,), generator=generator)
    differences = latent.double().unsqueeze(1) - training.double()
    nearest = classes[differences.square().sum(-1).argsort(dim=1)[:, :20]]
    votes = torch.nn.functional.one_hot(nearest, 5).sum(1)
    alone = (votes == votes.amax(1, keepdim=True)).sum(1) == 1
    assert torch.equal(k_nearest(training, classes, latent)[alone], votes.argmax(1)[alone])


def test_rows_as_far_as_the_last_neighbour_vote_too_in_whatever_order_they_come():
    training, classes = torch.tensor([[0.0], [1.0], [1.0], [1.0], [-1.0], [5.0]]), torch.tensor([0, 1, 2, 2, 2, 1])
    for seed in range(5):
        order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
        assert k_nearest(training[order], classes[order], torch.zeros(1, 1), k=2).tolist() == [2]


def test_of_classes_as_many_and_as_near_the_first_is_named():
    training, classes = torch.tensor([[1.0, 2.0], [2.0, 1.0], [9.0, 9.0]]), torch.tensor([1, 0, 2])
    assert k_nearest(training, classes, torch.zeros(1, 2), k=2).tolist() == [0]


def test_the_linear_probe_tells_clusters_apart():
    training, classes = _clusters(300, 0)
    latent, expected = _clusters(300, 1)
    guess = linear_probe(training, classes, latent)
    nearest_centre = latent.argmax(dim=1)
    assert (guess == nearest_centre).float().mean() > 0.9
    assert (guess == expected).float().mean() > 0.7


@pytest.mark.parametrize("l2", [1e-2, 1.0])
def test_the_linear_probe_is_at_the_minimum_of_its_loss(l2):
    training, classes = _clusters(300, 0)
    classes = torch.where(torch.arange(300) % 4 == 0, 0, classes)  # a class that prevails moves the bias
    latent, _ = _clusters(300, 1)
    mean, deviation = training.double().mean(0), training.double().std(0, correction=0)
    features = (training.double() - mean) / deviation
    weight, bias = torch.zeros(3, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    one_hot = torch.nn.functional.one_hot(classes, 3).double()
    for _ in range(2000):  # plain gradient descent on the convex loss
        error = ((features @ weight + bias).softmax(1) - one_hot) / 300
        weight, bias = weight - 0.5 * (features.T @ error + l2 * weight), bias - 0.5 * error.sum(0)
    expected = ((latent.double() - mean) / deviation @ weight + bias).argmax(1)
    assert torch.equal(linear_probe(training, classes, latent, l2), expected)


def test_neither_scale_nor_shift_nor_a_constant_dimension_changes_the_linear_probe():
    training, classes = _clusters(300, 0)
    latent, _ = _clusters(300, 1)
    factor, shift = torch.tensor([1e-3, 1.0, 1e3]), torch.tensor([5.0, -2.0, 0.0])
    other, other_latent = (torch.cat([x * factor + shift, torch.full((300, 1), 7.0)], 1) for x in (training, latent))
    same = linear_probe(training, classes, latent) == linear_probe(other, classes, other_latent)
    assert same.float().mean() > 0.99


def test_probes_are_measured_where_the_recipe_asks(checkpoint, plugins):
    recipe = replace(checkpoint.recipe, evaluation=Evaluation(probe=True))
    plain = evaluate(checkpoint.model, checkpoint.recipe, plugins=plugins)
    measured = evaluate(checkpoint.model, recipe, plugins=plugins)
    assert {name.rpartition(".")[-1] for name in measured if name not in plain} == {"knn@20", "probe", "chance"}
    assert {name: measured[name] for name in plain} == plain


def test_validation_on_the_way_does_not_probe(make_recipe, plugins, tmp_path):
    recipe = replace(make_recipe(steps=2, validate_every=1), evaluation=Evaluation(probe=True))
    train(recipe, tmp_path / "run", plugins=plugins)
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert "validation.error" in log
    assert "probe" not in log
