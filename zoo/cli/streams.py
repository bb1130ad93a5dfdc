"""Keeps stdout for only a command's data, whatever plugins, libraries and child processes print."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TextIO

from zoo.cli import output
from zoo.discovery.isolation import Aside


@contextmanager
def data_apart() -> Iterator[None]:
    """Redirect all output of the block to stderr, except for data printed by ``zoo.cli.output``.

    The descriptor of stdout is redirected, too, for code outside of Python. After the block everything is restored.
    """
    shown = sys.stdout
    with ExitStack() as undo:
        output.data.append(undo.enter_context(_own(shown)))
        undo.callback(output.data.pop)
        sys.stdout = Aside()
        undo.callback(setattr, sys, "stdout", shown)
        yield
        output.data[-1].flush()


def end_of_data() -> None:
    """Redirect stdout to stderr from here on: output of libraries while Python ends does not belong to the data."""
    stdout: TextIO | None = sys.stdout
    stderr: TextIO | None = sys.stderr
    if stdout is not sys.__stdout__ or stdout is None or stderr is None:
        return
    with suppress(OSError, ValueError):  # one of them is closed, or is not a file
        stdout.flush()
        os.dup2(stderr.fileno(), stdout.fileno())


@contextmanager
def _own(shown: TextIO | None) -> Iterator[TextIO]:
    """Return a stream with the destination of ``shown``, on a descriptor that no other code knows."""
    if shown is None:  # it was closed when Python started
        yield io.StringIO()
        return
    try:
        descriptor, stderr = shown.fileno(), sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # one of them is closed, or is not a file
        yield shown
        return
    shown.flush()
    kept = os.dup(descriptor)
    os.dup2(stderr, descriptor)
    try:
        # A path that is not UTF-8 is written as its bytes.
        with open(kept, "w", encoding=shown.encoding, errors="surrogateescape", closefd=False) as own:
            yield own
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
