"""Values that are missing, and values that a recipe takes away to study gaps."""

import pytest
from zoo_toy.modality import VectorsModality

from zoo.errors import SpecError, UsageError
from zoo.protocols import Sample
from zoo.runtime.gaps import no_rows
from zoo.training.dropping import dropped
from zoo.training.train import train

SAMPLES = [Sample(f"{place}", {"left": place, "right": -place}) for place in range(2000)]


def missing(samples, name):
    return {sample.key for sample in samples if sample.inputs[name] is None}


def test_a_share_of_an_inputs_values_is_taken_away():
    found = dropped(SAMPLES, {"right": 0.3}, seed=0)
    assert len(missing(found, "right")) == pytest.approx(600, abs=80)
    assert missing(found, "left") == set()
    assert all(sample.inputs["right"] in (None, -int(sample.key)) for sample in found)


def test_what_is_taken_away_follows_from_the_seed_and_the_key_alone():
    first = missing(dropped(SAMPLES, {"left": 0.5, "right": 0.5}, seed=0), "right")
    assert missing(dropped(SAMPLES[::-1], {"right": 0.5}, seed=0), "right") == first
    assert missing(dropped(SAMPLES[:100], {"right": 0.5}, seed=0), "right") == {key for key in first if int(key) < 100}
    assert missing(dropped(SAMPLES, {"right": 0.5}, seed=1), "right") != first
    assert missing(dropped(SAMPLES, {"left": 0.5}, seed=0), "left") != first


def test_a_larger_share_takes_away_more_of_the_same():
    smaller, larger = (missing(dropped(SAMPLES, {"left": share}, seed=0), "left") for share in (0.2, 0.6))
    assert smaller < larger


def test_nothing_is_copied_where_nothing_is_dropped():
    assert dropped(SAMPLES, {}, seed=0) is SAMPLES


def test_no_rows_have_the_form_of_a_modality():
    arrays = no_rows(VectorsModality())
    assert {name: array.shape[0] for name, array in arrays.items()} == {"values": 0, "mask": 0}


def test_a_recipe_that_drops_an_input_trains_without_it(make_recipe, plugins, tmp_path):
    recipe = make_recipe(drop={"right": 1.0})
    with pytest.raises(UsageError, match="no sample has the input 'right'"):
        train(recipe, tmp_path / "run", plugins=plugins)
    assert train(make_recipe(drop={"right": 0.5}), tmp_path / "other", plugins=plugins).exists()


def test_a_recipe_is_written_with_what_it_drops_and_without_what_it_does_not(make_recipe):
    assert make_recipe(drop={"left": 0.25}).written()["training"]["drop"] == {"left": 0.25}
    assert "drop" not in make_recipe().written()["training"]


def test_a_share_that_is_none_and_an_input_that_there_is_not_are_refused(make_recipe):
    with pytest.raises(SpecError, match=r"'drop' takes a table of numbers from 0 to 1, got \{'left': 1\.5\}"):
        make_recipe(drop={"left": 1.5})
    with pytest.raises(SpecError, match="'drop' names 'sound'; the inputs are right, left"):
        make_recipe(drop={"sound": 0.5})
