"""Rows that hold the same value of an input are known by a number, however their data are read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from zoo_toy.modality import VectorsModality

import zoo.models.batches
from zoo.models.batches import RowsInMemory, RowsOnDemand, load_rows
from zoo.protocols import Sample
from zoo.samples.groups import groups_of


def samples_of(*values, name="one"):
    return [Sample(str(place), {name: value}) for place, value in enumerate(values)]


@pytest.mark.parametrize(
    "values",
    [
        ("a dog", "a cat", "a dog"),
        (Path("dog.png"), Path("cat.png"), Path("./dog.png")),
        (np.zeros((2, 3)), np.ones((2, 3)), np.zeros((2, 3))),
        (Image.new("L", (2, 2)), Image.new("L", (2, 2), 9), Image.new("L", (2, 2))),
        ([1.0, [2, "x"]], [1.0, [2, "y"]], [1.0, [2, "x"]]),
        ((np.zeros(3), 16_000), (np.zeros(3), 8_000), (np.zeros(3), 16_000)),
        ({"nodes": [1, 2]}, {"nodes": [1]}, {"nodes": [1, 2]}),
    ],
    ids=lambda values: type(values[0]).__name__,
)
def test_equal_values_of_any_kind_have_one_number(values):
    assert groups_of(samples_of(*values), ["one"])["one"].tolist() == [0, 1, 0]


def test_arrays_of_other_shapes_or_types_differ():
    values = (np.zeros(4), np.zeros((2, 2)), np.zeros(4, np.int64), np.zeros(4))
    assert groups_of(samples_of(*values), ["one"])["one"].tolist() == [0, 1, 2, 0]


def test_an_input_without_equal_values_has_no_groups():
    assert groups_of(samples_of("a", "b", None, None), ["one"]) == {}


def test_missing_values_equal_no_other():
    assert groups_of(samples_of("a", None, "a", None), ["one"])["one"].tolist() == [0, 1, 0, 3]


def test_objects_of_unknown_kinds_equal_only_themselves():
    class Box(list):
        __hash__ = None

    class Sealed:
        __hash__ = None

    sealed = Sealed()
    assert groups_of(samples_of(sealed, Sealed(), sealed), ["one"])["one"].tolist() == [0, 1, 0]


@pytest.mark.parametrize(("most", "kind"), [(1 << 30, RowsInMemory), (0, RowsOnDemand)])
def test_batches_say_which_rows_hold_equal_values_in_memory_and_on_demand(most, kind, monkeypatch):
    monkeypatch.setattr(zoo.models.batches, "_MEMORY_BYTES", most)
    dog, cat = [[0.0, 1.0, 2.0]], [[1.0, 1.0, 1.0]]
    rows = load_rows(samples_of(dog, cat, dog, name="left"), {"left": VectorsModality()}, where="here", grouped=True)
    assert isinstance(rows, kind)
    assert rows.take(torch.tensor([2, 1, 0])).groups["left"].tolist() == [0, 1, 0]
    plain = load_rows(samples_of(dog, cat, dog, name="left"), {"left": VectorsModality()}, where="here")
    assert plain.take(torch.tensor([0, 2])).groups == {}


def test_a_batch_keeps_its_groups_when_rows_are_taken_and_gaps_cleaned():
    batch = load_rows(
        samples_of([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]], name="left"),
        {"left": VectorsModality()},
        where="here",
        grouped=True,
    ).take(torch.tensor([1, 0]))
    assert batch.with_clean_gaps().to(torch.device("cpu")).take(torch.tensor([1])).groups["left"].tolist() == [0]
