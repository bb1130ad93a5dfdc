"""Every row once an epoch, in an order that follows from the seed, whichever process reads it."""

import itertools

import numpy as np
import pytest
import torch

from zoo.discovery.components import make_dataset, make_modalities
from zoo.models.batches import RowsOnDemand
from zoo.training.ordering import Order, Share, batches, seed_of


def test_an_epoch_takes_every_row_once():
    order = Order(rows=12, batch_size=4, seed=0)
    for epoch in range(3):
        taken = torch.cat([order[3 * epoch + position] for position in range(3)])
        assert sorted(taken.tolist()) == list(range(12))


def test_the_rows_of_a_step_do_not_depend_on_what_was_asked_before():
    order, jumping = Order(10, 3, seed=1), Order(10, 3, seed=1)
    in_turn = [order[step] for step in range(9)]
    assert torch.equal(jumping[7], in_turn[7])
    assert torch.equal(jumping[2], in_turn[2])


def test_epochs_and_seeds_differ_in_their_order():
    orders = [tuple(Order(64, 64, seed)[epoch].tolist()) for seed, epoch in itertools.product((0, 1), (0, 1))]
    assert len(set(orders)) == 4


def test_a_batch_is_never_larger_than_the_data():
    assert Order(5, 100, seed=0).batch_size == 5


def test_shares_are_the_whole_in_order():
    rows = torch.arange(11)
    assert torch.equal(torch.cat([Share(process, 3).of(rows) for process in range(3)]), rows)


def test_processes_draw_from_seeds_of_their_own():
    assert len({seed_of(0, 0, step, process) for step in range(50) for process in range(4)}) == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_that_read_ahead_change_no_batch(workers, make_recipe, plugins):
    recipe = make_recipe(data={"gaps": True})
    rows = RowsOnDemand(make_dataset(recipe.data, plugins).split("train"), make_modalities(recipe.spec, plugins))
    order, steps = Order(len(rows), 8, seed=0), range(3, 9)
    alone, ahead = (list(batches(rows, order, Share(), steps, workers=number)) for number in (0, workers))
    assert len(alone) == len(ahead) == len(steps)
    for one, other in zip(alone, ahead, strict=True):
        assert torch.equal(one.present["right"], other.present["right"])
        np.testing.assert_array_equal(one.inputs["right"]["values"], other.inputs["right"]["values"])
