"""SIGTERM and Ctrl-C while training: checked between steps, or obeyed at once if nothing would be lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(Exception):
    """A signal arrived in a block that may be interrupted at once."""


class Stop:
    """Whether the process was asked to stop, and by which signal.

    The first signal is remembered and checked between steps; a second one ends the process at once.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._at_once = False

    @property
    def asked(self) -> bool:
        """Whether a signal came."""
        return self.signal != 0

    def now(self) -> None:
        """Leave, with the exit code of the signal: 143 for SIGTERM, 130 for Ctrl-C."""
        raise SystemExit(128 + (self.signal or signal.SIGTERM))

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal raise Stopped within the block, in which nothing would be lost."""
        if self.asked:
            raise Stopped
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal; a handler of the module ``signal``."""
        again, self.signal = self.asked, number
        if again:
            self.now()
        if self._at_once:
            self._at_once = False
            raise Stopped


@contextmanager
def stopping() -> Iterator[Stop]:
    """Handle SIGTERM and Ctrl-C within the block; outside the main thread signals are left alone."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
