"""Time limits that no server can stretch: a minimum rate over a window, and a maximum time per source.

The timeout of a socket applies to a single read, so a byte now and then would keep a connection open for ever: in the
headers, in the line before a chunk, in the body. A ``Watch`` runs in a separate thread and closes the connections of an
attempt.
"""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

_AGAIN_S = 0.1


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, and how often to retry without progress.

    A source is given up if it sends less than ``least_bytes_per_s`` over a window, or takes longer than ``allowance_s``
    plus the time that the file takes at that rate.
    """

    connect_timeout_s: float = 10
    read_timeout_s: float = 30
    attempts: int = 5
    first_pause_s: float = 0.5
    longest_pause_s: float = 30
    least_bytes_per_s: float = 1000
    window_s: float = 60
    allowance_s: float = 600

    def longest_s(self, size_bytes: int) -> float:
        """Return how long one source may take for a file."""
        return self.allowance_s + size_bytes / self.least_bytes_per_s


PATIENCE = Patience()


class TooSlow(Exception):
    """The source was given up; the message is a predicate that says why."""


class Watch:
    """Watches one attempt, as a context manager: closes its connections if they are too slow or time is up.

    Leaving the context then raises TooSlow instead of the error of the closed connections.
    """

    def __init__(self, patience: Patience, ends_at_s: float) -> None:
        """``ends_at_s`` is the time limit, on the clock of ``time.monotonic``."""
        self._patience = patience
        self._ends_at_s = ends_at_s
        self._arrived_bytes = 0
        self._filenos: list[Callable[[], int]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch of a download", daemon=True)
        self._reason = ""

    def arrived(self, size_bytes: int) -> None:
        """Count bytes of the body."""
        self._arrived_bytes += size_bytes

    def follow(self, fileno: Callable[[], int]) -> None:
        """Also watch the socket whose descriptor ``fileno`` returns; -1 means that there is none."""
        self._filenos.append(fileno)

    def __enter__(self) -> "Watch":
        """Start watching."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching; raise TooSlow if the attempt was given up."""
        self._over.set()
        self._thread.join()
        if self._reason and (kind is None or issubclass(kind, Exception)):
            raise TooSlow(self._reason) from None

    def _look(self) -> None:
        before_bytes = 0
        while not self._reason:
            left_s = self._ends_at_s - time.monotonic()
            if self._over.wait(max(0.0, min(self._patience.window_s, left_s))):
                return
            if time.monotonic() >= self._ends_at_s:
                self._reason = "took all the time that a source may take"
            elif self._arrived_bytes - before_bytes < self._patience.least_bytes_per_s * self._patience.window_s:
                self._reason = f"sent less than {self._patience.least_bytes_per_s:g} bytes a second"
            before_bytes = self._arrived_bytes
        while not self._over.wait(_AGAIN_S):  # the attempt may be opening another connection just now
            for fileno in list(self._filenos):
                _shut(fileno)


def _shut(fileno: Callable[[], int]) -> None:
    # The downloading thread may close the connection meanwhile, or remove the object that has the descriptor.
    with suppress(OSError, ValueError, AttributeError):
        descriptor = fileno()
        if descriptor >= 0:
            with socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as same:
                same.shutdown(socket.SHUT_RDWR)
