"""What a split lacks is named before anything is made of it: the split, the input, and what to do."""

import re
from dataclasses import replace

import pytest

from zoo.errors import NotFoundError, UsageError
from zoo.evaluation.evaluate import evaluate
from zoo.samples.splits import Splits, joined
from zoo.training.train import train


@pytest.fixture
def data(monkeypatch):
    """Change the splits of the toy data: without samples, inputs or labels, or not there at all."""
    from zoo_toy.dataset import ToyDataset

    split = ToyDataset.split

    def change(*, empty=(), missing=(), without=None, unlabelled=()):
        def changed(self, name):
            if name in missing:
                raise KeyError(name)
            gone = (without or {}).get(name, ())
            kept = [
                replace(sample, inputs={key: None if key in gone else value for key, value in sample.inputs.items()})
                for sample in split(self, name)
            ]
            kept = [replace(sample, labels={}) for sample in kept] if name in unlabelled else kept
            return [] if name in empty else kept

        monkeypatch.setattr(ToyDataset, "split", changed)

    return change


@pytest.fixture
def unbuilt(monkeypatch):
    """Fail if a model is built."""

    def build(*arguments, **options):
        raise AssertionError("the model was built before the data were looked at")

    monkeypatch.setattr("zoo.training.preparing.build", build)


TRAINED = "Add samples that have it to this split, or take the input out of the recipe's [spec.inputs]"


def test_training_on_an_empty_split_names_it_and_those_that_have_samples(data, unbuilt, make_recipe, plugins, tmp_path):
    data(empty=["train", "test"])
    with pytest.raises(UsageError) as caught:
        train(make_recipe(), tmp_path, plugins=plugins)
    assert str(caught.value) == (
        "data 'toy', split 'train' has no samples; the split 'validation' has 32. Add samples to it"
    )


def test_training_on_an_input_that_no_sample_has_names_it_before_the_model_is_built(
    data, unbuilt, make_recipe, plugins, tmp_path
):
    data(without={"train": ["right"], "validation": ["right"]})
    with pytest.raises(UsageError) as caught:
        train(make_recipe(), tmp_path, plugins=plugins)
    assert str(caught.value) == (
        "data 'toy', split 'train': no sample has the input 'right', they have left; the split 'test' has right. "
        f"{TRAINED}"
    )


def test_an_input_that_drop_takes_away_altogether_is_named(make_recipe, unbuilt, plugins, tmp_path):
    advice = "training.drop removes all its values; lower the fraction"
    with pytest.raises(UsageError, match=f"no sample has the input 'left', they have right; .* {advice}"):
        train(make_recipe(drop={"left": 1.0}), tmp_path, plugins=plugins)


def test_a_split_that_is_not_there_is_named(data, unbuilt, make_recipe, plugins, tmp_path):
    data(missing=["validation"])
    expected = (
        "data 'toy', split 'validation' is not there; the split 'train' has 32 and 'test' has 32. Add some, or set "
        "training.validate_every to 0"
    )
    with pytest.raises(NotFoundError, match=f"^{re.escape(expected)}$"):
        train(make_recipe(validate_every=5), tmp_path, plugins=plugins)


def test_a_split_is_made_once(make_recipe, plugins, tmp_path, monkeypatch):
    from zoo_toy.dataset import ToyDataset

    made, split = [], ToyDataset.split
    monkeypatch.setattr(ToyDataset, "split", lambda data, name: made.append(name) or split(data, name))
    train(make_recipe(steps=2, validate_every=1), tmp_path, plugins=plugins)
    assert sorted(made) == ["test", "train", "validation"]


def test_an_error_of_the_data_is_not_taken_for_a_split_that_is_not_there(data, make_recipe, plugins, monkeypatch):
    from zoo_toy.dataset import ToyDataset

    monkeypatch.setattr(ToyDataset, "split", lambda data, name: {}["its own key"])
    with pytest.raises(KeyError, match="its own key"):
        Splits.of(make_recipe(), plugins).read("train", advice="")


def test_an_empty_split_for_validation_says_how_to_train_without(data, unbuilt, make_recipe, plugins, tmp_path):
    data(empty=["validation"])
    expected = r"split 'validation' has no samples; .* Add some, or set training.validate_every to 0"
    with pytest.raises(UsageError, match=expected):
        train(make_recipe(validate_every=5), tmp_path, plugins=plugins)


def test_what_cannot_be_validated_is_told_before_the_first_step(data, make_recipe, plugins, tmp_path):
    data(unlabelled=["validation"])
    recipe = make_recipe(validate_every=5)
    steps = []
    with pytest.raises(UsageError, match=r"split 'validation': 2 samples lack the label 'parity' that \[evaluation"):
        train(
            replace(recipe, evaluation=replace(recipe.evaluation, by="parity")),
            tmp_path,
            observe=steps.append,
            plugins=plugins,
        )
    assert not steps


def test_a_split_to_measure_that_the_data_do_not_have_is_told_before_the_model_is_built(
    data, unbuilt, make_recipe, plugins, tmp_path
):
    data(missing=["tset"])
    recipe = make_recipe().with_options({"evaluation.split": "tset"})
    with pytest.raises(NotFoundError) as caught:
        train(recipe, tmp_path, plugins=plugins)
    assert str(caught.value) == (
        "evaluation.split = 'tset': data 'toy', split 'tset' is not there; the split 'train' has 32, 'validation' has "
        "32 and 'test' has 32. Set evaluation.split to another split, or add samples to this one"
    )


def test_a_label_to_measure_by_that_samples_lack_is_told_before_the_model_is_built(
    unbuilt, make_recipe, plugins, tmp_path
):
    recipe = make_recipe().with_options({"evaluation.by": "language"})
    with pytest.raises(UsageError, match=r"split 'test': 32 samples lack the label 'language' that \[evaluation\] by"):
        train(recipe, tmp_path, plugins=plugins)


def test_a_split_to_measure_without_samples_is_warned_of_and_trained_all_the_same(
    data, make_recipe, plugins, tmp_path, caplog
):
    data(empty=["test"])
    train(make_recipe(steps=1), tmp_path, plugins=plugins)
    assert caplog.messages[0] == (
        "evaluation.split = 'test' cannot be measured: data 'toy', split 'test' has no samples; the split 'train' has "
        "32 and 'validation' has 32. Set evaluation.split to another split, or add samples to this one"
    )


def test_an_empty_split_to_measure_on_says_how_to_choose_another(data, checkpoint, plugins):
    data(empty=["test"])
    with pytest.raises(UsageError) as caught:
        evaluate(checkpoint.model, checkpoint.recipe, plugins=plugins)
    assert str(caught.value) == (
        "data 'toy', split 'test' has no samples; the split 'train' has 32 and 'validation' has 32. Choose another "
        "split, by `split` or evaluation.split, or add samples to this one"
    )


def test_a_split_without_any_input_of_the_model_is_refused(data, checkpoint, plugins):
    data(without={"test": ["left", "right"]})
    expected = (
        r"split 'test': no sample has the input 'right' and 'left', they have none; the split 'train' has right and "
        "left; the split 'validation' has right and left. Choose another"
    )
    with pytest.raises(UsageError, match=expected):
        evaluate(checkpoint.model, checkpoint.recipe, plugins=plugins)


def test_a_model_of_several_inputs_is_measured_on_those_that_are_there(data, checkpoint, plugins, caplog):
    data(without={"test": ["right"]})
    measured = evaluate(checkpoint.model, checkpoint.recipe, plugins=plugins)
    assert measured["rows"] == 32
    assert caplog.messages == [
        "data 'toy', split 'test': no sample has the input right; metrics that need it are not measured"
    ]


def test_probes_without_a_training_split_say_how_to_measure_without_them(data, checkpoint, plugins):
    data(empty=["train"])
    recipe = replace(checkpoint.recipe, evaluation=replace(checkpoint.recipe.evaluation, probe=True))
    expected = r"split 'train' has no samples; .* set evaluation.probe and evaluation.coherence to false, or add some"
    with pytest.raises(UsageError, match=expected):
        evaluate(checkpoint.model, recipe, plugins=plugins)


def test_one_word_or_several_are_listed():
    assert [joined([]), joined(["a"]), joined(["a", "b", "c"])] == ["", "a", "a, b and c"]
