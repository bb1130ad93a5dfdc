"""Runs code of plugins so that their exceptions are caught and their output stays out of a command's data.

Plugins that end or block the whole process cannot be caught here. ``zoo doctor`` finds them: it imports plugins in a
separate process (``separate_process``).
"""

from __future__ import annotations

import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import BinaryIO

_LONGEST = 1000


class Escaped(Exception):
    """A plugin raised an exception; the message names it."""


class Aside(io.TextIOBase):
    """Replaces stdout while only data belong there: prints go to stderr instead and are counted."""

    def __init__(self) -> None:
        self.writes = 0

    def write(self, text: str) -> int:
        """Print on stderr."""
        self.writes += 1
        if sys.stderr is not None:
            sys.stderr.write(text)
        return len(text)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of stderr."""
        return sys.stderr.encoding

    @property
    def buffer(self) -> BinaryIO:
        """The bytes of stderr, for code that prints bytes."""
        self.writes += 1
        return sys.stderr.buffer

    def flush(self) -> None:
        """Print at once."""
        if sys.stderr is not None:
            sys.stderr.flush()

    def fileno(self) -> int:
        """Return the descriptor of stderr."""
        return sys.stderr.fileno()

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def close(self) -> None:
        """Stay open: others print too."""
        self.writes += 1


def writes_aside() -> int:
    """Return how many prints were redirected so far, 0 while stdout is not replaced."""
    return sys.stdout.writes if isinstance(sys.stdout, Aside) else 0


@contextmanager
def isolated(*passing: type[BaseException]) -> Iterator[None]:
    """Raise Escaped for any exception of the block, except those of the classes ``passing``.

    An exception raised by a signal handler is not the block's fault. It passes even if the block swallows it, so that
    Ctrl-C ends a command. Afterwards the signal handlers are what they were before.
    """
    with _signals() as raised:
        try:
            yield
        except BaseException as error:
            told = reason(error)
            if raised:
                raise raised[0] from None
            if isinstance(error, passing):
                raise
            raise Escaped(told) from error
    if raised:
        raise raised[0]


@contextmanager
def signals_first() -> Iterator[None]:
    """Raise the exception of a signal handler again, even if the block turned it into another one.

    Ctrl-C during the import of a library may come out as an ImportError, during a class definition as a RuntimeError.
    """
    with _signals() as raised:
        try:
            yield
        except BaseException:
            if raised:
                raise raised[0] from None
            raise


def reason(error: BaseException) -> str:
    """Describe an exception in one line by its class and its message, even if its class is broken."""
    kind = type(error).__name__
    try:
        message = " ".join(str(error).split())
    except BaseException as second:
        return f"{kind}: no message, since its __str__ raises {type(second).__name__}"
    shortened = f"{message[:_LONGEST]}…" if len(message) > _LONGEST else message
    return f"{kind}: {shortened or 'no message'}"


@contextmanager
def _signals() -> Iterator[list[BaseException]]:
    """Yield the list of the exceptions that signal handlers raise in the block."""
    raised: list[BaseException] = []
    if threading.current_thread() is not threading.main_thread():
        yield raised
        return

    def remembering(handler: Callable[[int, FrameType | None], object]) -> Callable[[int, FrameType | None], object]:
        def handle(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except BaseException as error:
                raised.append(error)
                raise

        return handle

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, remembering(handler))
    try:
        yield raised
    finally:
        for number, handler in before.items():
            if handler is not None:  # None means that the handler was not set in Python
                signal.signal(number, handler)
