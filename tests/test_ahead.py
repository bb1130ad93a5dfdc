"""The next item is made while the last is used, and nothing else changes."""

import threading

import pytest

from zoo.runtime.reading_ahead import one_ahead


def test_items_come_in_their_order():
    assert list(one_ahead(iter(range(5)))) == [0, 1, 2, 3, 4]
    assert list(one_ahead(iter(()))) == []


def test_the_next_item_is_made_while_one_is_used_and_no_further():
    made = [threading.Event() for _ in range(4)]

    def items():
        for number, event in enumerate(made):
            event.set()
            yield number

    for number in one_ahead(items()):
        if number + 1 < len(made):
            assert made[number + 1].wait(timeout=10)
        assert not any(event.is_set() for event in made[number + 2 :])


def test_an_error_comes_in_its_turn():
    def items():
        yield 1
        raise ValueError("the second item")

    ahead = one_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="the second item"):
        next(ahead)


def test_who_stops_early_leaves_no_thread():
    ahead = one_ahead(iter(range(5)))
    next(ahead)
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
