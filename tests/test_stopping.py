"""A signal is looked at between steps, and ends a run without loss."""

import os
import signal
import threading

import pytest

from zoo.training.stopping import Stopped, stopping


def test_a_signal_is_a_question_until_the_block_ends():
    before = signal.getsignal(signal.SIGTERM)
    with stopping() as stop:
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
        with pytest.raises(SystemExit) as left:
            stop.now()
    assert left.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_signal_ends_at_once():
    with stopping() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
        with pytest.raises(SystemExit) as left:
            os.kill(os.getpid(), signal.SIGINT)
    assert left.value.code == 130


def test_a_signal_ends_a_block_that_holds_nothing():
    with stopping() as stop:
        with pytest.raises(Stopped), stop.at_once():
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked


def test_a_block_that_holds_nothing_is_not_entered_after_a_signal():
    with stopping() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped), stop.at_once():
            pytest.fail("the block was entered")


def test_a_thread_leaves_signals_alone():
    found = []

    def look():
        with stopping() as stop:
            found.append((stop.asked, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [(False, signal.getsignal(signal.SIGTERM))]
