"""Pauses Python's garbage collection while a large document is read: it would take a tenth of a listing's time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Run the block without garbage collection, since it creates no garbage."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def keep_what_is_there() -> None:
    """Exclude all present objects from later collections, also from the one when the process ends; done once."""
    if not gc.get_freeze_count():
        gc.freeze()
