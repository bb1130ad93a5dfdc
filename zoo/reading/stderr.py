"""Catches what C libraries write to stderr, past Python, while they decode, to use it in our own message."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

_one_at_a_time = threading.RLock()


class LibraryMessages:
    """The caught text in one line, available once the block has ended."""

    text = ""

    def beside(self, reason: object) -> str:
        """Return a reason, followed by the library's text."""
        return f"{reason} ({self.text})" if self.text else str(reason)


@contextmanager
def library_messages() -> Iterator[LibraryMessages]:
    """Catch what is written to the file descriptor of stderr in the block.

    Text that Python code writes to ``sys.stderr`` meanwhile, in any thread, still arrives there. Blocks of several
    threads wait for each other: use it only around short calls that are known to write.
    """
    caught = LibraryMessages()
    with _one_at_a_time:
        try:
            kept = os.dup(2)
        except OSError:  # stderr is closed: nothing can be written to it
            yield caught
            return
        before = sys.stderr
        past = _Past(before, kept)
        with tempfile.TemporaryFile() as file:
            try:
                with suppress(AttributeError, OSError, ValueError):  # there is no stream, or it is closed
                    before.flush()
                os.dup2(file.fileno(), 2)
                if _writes_to_stderr(before):
                    sys.stderr = past
                yield caught
            finally:
                if sys.stderr is past:
                    sys.stderr = before
                past.end()
                file.seek(0)
                caught.text = " ".join(file.read(4096).decode(errors="replace").split())


class _Past:
    """Passes writes to ``stream`` on to a descriptor that is not redirected, as long as it exists."""

    def __init__(self, stream: TextIO, descriptor: int) -> None:
        self._stream, self._descriptor, self._lock = stream, descriptor, threading.Lock()

    def write(self, text: str) -> int:
        with self._lock:
            os.write(self._descriptor, text.encode(self._stream.encoding or "utf-8", "backslashreplace"))
        return len(text)

    def end(self) -> None:
        with self._lock:
            os.dup2(self._descriptor, 2)
            os.close(self._descriptor)
            self._descriptor = 2

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _writes_to_stderr(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 2
    except (AttributeError, OSError, ValueError):
        return False
