"""What libraries written in C say on stderr, behind Python's back: caught while they decode, for our own message."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_one_at_a_time = threading.RLock()


class LibraryMessages:
    """The text that was caught, in one line; it is there once the block has ended."""

    text = ""

    def beside(self, reason: object) -> str:
        """Return a reason, with what the library said behind it."""
        return f"{reason} ({self.text})" if self.text else str(reason)


@contextmanager
def library_messages() -> Iterator[LibraryMessages]:
    """Catch what is written to the file descriptor of stderr in the block.

    What Python code writes to ``sys.stderr`` meanwhile, of whichever thread, arrives there. Blocks of several threads
    wait for each other: to be used around what is known to write, and is short.
    """
    caught = LibraryMessages()
    with _one_at_a_time:
        try:
            kept = os.dup(2)
        except OSError:  # stderr is closed: there is nothing to keep clean
            yield caught
            return
        before = sys.stderr
        past = _Past(before, kept)
        with tempfile.TemporaryFile() as file:
            try:
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
    """The stream ``stream``, written to a descriptor that is no longer redirected, as long as it lasts."""

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
    except (OSError, ValueError):
        return False
