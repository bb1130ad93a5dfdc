"""Code of plugins, run so that nothing it raises gets past, and nothing it prints gets among a command's data.

What cannot be caught here, since it ends or holds the process, is found by ``zoo doctor``, which imports plugins in a
process of its own (``separate_process``).
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
    """Something was raised by a plugin; the message names it."""


class Aside(io.TextIOBase):
    """Stands for stdout while only data belong there: what is printed goes to stderr, and is noticed."""

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
        """The bytes of stderr, for what prints bytes."""
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
        """Tell that it can be written."""
        return True

    def close(self) -> None:
        """Stay open: others print too."""
        self.writes += 1


def writes_aside() -> int:
    """Return how often something was printed aside so far, 0 while nothing stands for stdout."""
    return sys.stdout.writes if isinstance(sys.stdout, Aside) else 0


@contextmanager
def isolated(*passing: type[BaseException]) -> Iterator[None]:
    """Raise Escaped for whatever the block raises, but for errors of the kinds ``passing``.

    What a signal raises is no doing of the block, and passes, even if the block swallows it: Ctrl-C ends a command. The
    handlers of signals are afterwards what they were before.
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
    """Raise what the handler of a signal raised, whatever error the block made of it.

    Ctrl-C amid the import of a library may come out as an ImportError, amid a class as a RuntimeError.
    """
    with _signals() as raised:
        try:
            yield
        except BaseException:
            if raised:
                raise raised[0] from None
            raise


def reason(error: BaseException) -> str:
    """Name an exception in a line: its kind and its message, whatever its class does."""
    kind = type(error).__name__
    try:
        message = " ".join(str(error).split())
    except BaseException as second:
        return f"{kind}: no message, since its __str__ raises {type(second).__name__}"
    shortened = f"{message[:_LONGEST]}…" if len(message) > _LONGEST else message
    return f"{kind}: {shortened or 'no message'}"


@contextmanager
def _signals() -> Iterator[list[BaseException]]:
    """Give the list of what handlers of signals raise in the block."""
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
            if handler is not None:  # None stands for a handler that was not set in Python
                signal.signal(number, handler)
