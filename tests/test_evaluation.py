"""Metrics are the same each time, taken apart by a label, and compared with what was recorded."""

from dataclasses import replace

import pytest
import torch

from zoo.errors import DataError, MetricError, UsageError
from zoo.evaluation.evaluate import evaluate, verify
from zoo.evaluation.metrics import Metric
from zoo.recipes.spec import Evaluation, Part
from zoo.samples.missing import LeftOut


def test_the_same_model_measures_the_same(checkpoint, plugins):
    first, again = (evaluate(checkpoint.model, checkpoint.recipe, plugins=plugins) for _ in range(2))
    assert first == again
    assert first["rows"] == 32


def test_another_split_measures_otherwise(checkpoint, plugins):
    test = evaluate(checkpoint.model, checkpoint.recipe, plugins=plugins)
    assert evaluate(checkpoint.model, checkpoint.recipe, split="validation", plugins=plugins) != test
    assert evaluate(checkpoint.model, checkpoint.recipe, split="test", plugins=plugins) == test


def test_samples_are_taken_apart_by_a_label(checkpoint, plugins):
    recipe = replace(checkpoint.recipe, evaluation=Evaluation(by="parity"))
    measured = evaluate(checkpoint.model, recipe, plugins=plugins)
    assert set(measured) == {"even.error", "even.rows", "odd.error", "odd.rows"}
    assert measured["even.rows"] == measured["odd.rows"] == 16
    whole = evaluate(checkpoint.model, checkpoint.recipe, plugins=plugins)
    assert measured["even.error"] + measured["odd.error"] == pytest.approx(2 * whole["error"])


def test_a_label_that_samples_lack_is_refused(checkpoint, plugins):
    recipe = replace(checkpoint.recipe, evaluation=Evaluation(by="language"))
    with pytest.raises(UsageError, match=r"data 'toy', split 'test': 32 samples lack the label 'language' that \[eval"):
        evaluate(checkpoint.model, recipe, plugins=plugins)


@pytest.mark.parametrize("asked", [{}, {"probe": True, "coherence": True}])
def test_measuring_leaves_each_part_of_the_model_in_its_mode_and_without_gradients(asked, checkpoint, plugins):
    recipe = replace(checkpoint.recipe, evaluation=replace(checkpoint.recipe.evaluation, **asked))
    objective = checkpoint.model.objective.train()
    objective.encoders["left"].eval()
    evaluate(checkpoint.model, recipe, plugins=plugins)
    modes = {name: part.training for name, part in objective.named_modules() if name.startswith("encoders.")}
    objective.eval()
    assert (modes["encoders.left"], modes["encoders.right"]) == (False, True)
    assert all(parameter.grad is None for parameter in objective.parameters())
    assert torch.is_grad_enabled()


def test_samples_that_cannot_be_read_are_left_out_if_that_is_asked_for(checkpoint, plugins):
    recipe = replace(checkpoint.recipe, data=Part("toy", {"broken_at": 5}), evaluation=Evaluation(probe=True))
    with pytest.raises(DataError, match=r"^sample 'test-5', input 'left': value 0 is 'nonsense'"):
        evaluate(checkpoint.model, recipe, plugins=plugins)
    left_out = LeftOut()
    measured = evaluate(checkpoint.model, recipe, plugins=plugins, skip=left_out)
    assert measured["rows"] == 31
    assert {"left.embedding.parity.probe", "left.latent.parity.probe"} & set(measured)
    assert list(left_out.errors) == ["test-5", "train-5"]


def test_the_command_stops_at_a_sample_that_cannot_be_read_or_tells_that_it_is_left_out(zoo, recipe_file, tmp_path):
    recipe, run = recipe_file(data={"broken_at": 5}, steps=1), tmp_path / "run"
    assert zoo("train", recipe, "--out", run, "--on-bad-sample", "skip").exit_code == 0
    assert "sample 'test-5', input 'left': value 0 is 'nonsense'" in zoo("evaluate", run).error
    result = zoo("evaluate", run, "--on-bad-sample", "skip", "--json")
    assert result.json["rows"] == 31
    assert result.stderr.startswith(
        "samples that cannot be read: 1, left out; the first: sample 'test-5', input 'left'"
    )


@pytest.mark.parametrize("found", [0.5, 0.6, 0.4])
def test_a_metric_within_its_tolerance_passes(found):
    verify({"recall": found, "surplus": 1.0}, {"recall": Metric(0.5, 0.11)}, "toy")


@pytest.mark.parametrize("found", [0.62, float("nan"), float("inf")])
def test_a_metric_outside_its_tolerance_names_both_numbers(found):
    expected = rf"toy: the metric 'recall' is recorded as 0.5 ± 0.11, measured now {found}; check the versions"
    with pytest.raises(MetricError, match=expected):
        verify({"recall": found}, {"recall": Metric(0.5, 0.11)}, "toy")


def test_a_metric_that_is_not_measured_any_more_is_named():
    with pytest.raises(MetricError, match=r"'recall' is recorded as 0.5 ± 0.0, measured now nothing"):
        verify({}, {"recall": Metric(0.5, 0.0)}, "toy")
