"""Stdout holds a command's data and nothing else, whatever plugins, libraries and child processes print."""

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
    """Lead all that is printed in the block to stderr, but for what ``zoo.cli.output`` prints as data.

    The descriptor of stdout is led there too, for what writes to it past Python. Outside the block all is as before.
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
    """Lead stdout to stderr from here on: what libraries still print while Python ends is no part of the data."""
    stdout: TextIO | None = sys.stdout
    stderr: TextIO | None = sys.stderr
    if stdout is not sys.__stdout__ or stdout is None or stderr is None:
        return
    with suppress(OSError, ValueError):  # one of them is closed, or is no file
        stdout.flush()
        os.dup2(stderr.fileno(), stdout.fileno())


@contextmanager
def _own(shown: TextIO | None) -> Iterator[TextIO]:
    """Give a stream to the place where ``shown`` leads, with a descriptor that nobody else knows."""
    if shown is None:  # it was closed when Python started
        yield io.StringIO()
        return
    try:
        descriptor, stderr = shown.fileno(), sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # one of them is closed, or is no file
        yield shown
        return
    shown.flush()
    kept = os.dup(descriptor)
    os.dup2(stderr, descriptor)
    try:
        # A path that is not UTF-8 leaves as the bytes that it has.
        with open(kept, "w", encoding=shown.encoding, errors="surrogateescape", closefd=False) as own:
            yield own
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
