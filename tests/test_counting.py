"""Rows that teach nothing are reported before the first step, a term that no row reaches after an epoch."""

from types import SimpleNamespace

import pytest
import torch

from zoo.errors import TrainingError, UsageError
from zoo.modules import Losses
from zoo.training.counting import Watch, WithoutRows
from zoo.training.runs import read_log
from zoo.training.train import train


@pytest.fixture
def comparing(monkeypatch):
    """Let the toy objective say that it compares the inputs of a row."""
    from zoo_toy.objectives import ToyAlignment

    monkeypatch.setattr(ToyAlignment, "fewest_inputs", 2)


def test_rows_that_never_have_two_inputs_are_refused_before_the_first_step(comparing, make_recipe, plugins, tmp_path):
    recipe, steps = make_recipe("toy-alignment", data={"apart": True}), []
    with pytest.raises(UsageError) as caught:
        train(recipe, tmp_path, observe=steps.append, plugins=plugins)
    assert str(caught.value) == (
        "No training row has two inputs, and 'toy-alignment' learns only from such rows: in data 'toy', split 'train', "
        "16 rows have right and 16 rows have left. Put what belongs together into one row"
    )
    assert not steps
    assert not list(tmp_path.iterdir())


def test_an_objective_of_one_input_is_trained_on_such_rows(comparing, make_recipe, plugins, tmp_path):
    assert train(make_recipe(data={"apart": True}, steps=2), tmp_path, plugins=plugins).is_file()


def test_an_objective_that_says_nothing_is_ended_after_an_epoch_without_any_row(make_recipe, plugins, tmp_path):
    with pytest.raises(TrainingError) as caught:
        train(make_recipe("toy-alignment", data={"apart": True}), tmp_path, plugins=plugins)
    assert str(caught.value) == (
        "no row of the steps 1 to 4 contributed to the loss, so that nothing is learnt; its terms are nats. Look at "
        "which inputs the rows have: `zoo data RECIPE` counts them"
    )


def test_a_run_shorter_than_an_epoch_is_looked_at_when_it_ends(make_recipe, plugins, tmp_path):
    with pytest.raises(TrainingError, match="no row of the steps 1 to 2 contributed to the loss"):
        train(make_recipe("toy-alignment", data={"apart": True}, steps=2), tmp_path, plugins=plugins)


def test_a_batch_of_one_row_leaves_nothing_to_compare(make_recipe, plugins, tmp_path):
    with pytest.raises(UsageError) as caught:
        train(make_recipe("toy-alignment", batch_size=1), tmp_path, plugins=plugins)
    assert str(caught.value) == (
        "'toy-alignment' compares the rows of a batch, and a batch has one: training.batch_size is 1, data 'toy', "
        "split 'train' has 32 samples; take two rows or more"
    )


def test_a_term_that_no_row_of_an_epoch_reaches_is_told_once(make_recipe, plugins, tmp_path, monkeypatch, caplog):
    from zoo_toy.objectives import ToyAutoencoder

    losses = ToyAutoencoder.losses

    def with_pair(self, batch, noise, *, player):
        found = losses(self, batch, noise, player=player)
        nowhere = torch.zeros(batch.rows, dtype=torch.bool)
        return Losses(
            found.loss, {**found.terms, "left~right": torch.zeros(batch.rows)}, found.weight, {"left~right": nowhere}
        )

    monkeypatch.setattr(ToyAutoencoder, "losses", with_pair)
    train(make_recipe(), tmp_path, plugins=plugins)
    assert [line for line in read_log(tmp_path / "log.jsonl") if "without_rows" in line] == [
        {"step": 4, "without_rows": ["left~right"]}
    ]
    assert caplog.messages == ["no row of the steps 1 to 4 contributed to left~right: it teaches the model nothing"]


def watched(*contributions, first=0, last, epoch):
    """Return what is reported after each step."""
    answers = iter(contributions)
    watch = Watch(SimpleNamespace(contributions=lambda: next(answers)), first=first, last=last, epoch=epoch)
    return {done: found for done in range(first + 1, last + 1) if (found := watch.after(done))}


def test_each_term_is_told_at_the_end_of_the_first_epoch_that_lacks_it():
    told = watched({"a": 1, "b": 0, "c": 2}, {"a": 0, "b": 0, "c": 2}, last=8, epoch=4)
    assert told == {4: WithoutRows(1, 4, ["b"]), 8: WithoutRows(5, 8, ["a"])}


def test_the_rest_of_an_epoch_is_not_taken_for_one():
    assert watched({"a": 0, "b": 3}, {"a": 1, "b": 3}, first=2, last=8, epoch=4) == {}


def test_what_goes_on_for_less_than_an_epoch_tells_of_its_own_steps():
    assert watched({"a": 0, "b": 3}, first=2, last=4, epoch=9) == {4: WithoutRows(3, 4, ["a"])}
