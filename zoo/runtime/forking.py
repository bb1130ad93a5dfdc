"""Loaded graphs and forked processes: a fork copies the memory of a graph, but not the threads that run it.

Such a copy can neither be run nor freed, because both would wait for those threads. So it is refused, and left alone
until the process ends; a bundle loads its graphs anew in the forked process.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING
from weakref import WeakSet

from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.protocols import Array, RunsArrays

_loaded: WeakSet[RunsArrays] = WeakSet()


def of_this_process(name: str, compute: RunsArrays) -> RunsArrays:
    """Wrap a loaded graph so that it raises UsageError in a process that was forked from this one."""
    loaded_by = os.getpid()

    def guarded(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        if os.getpid() != loaded_by:
            raise UsageError(
                f"the graph {name!r} was loaded before this process was forked, and its threads are not here; take the "
                "graph from the bundle in this process"
            )
        return compute(arrays)

    _loaded.add(guarded)
    return guarded


def _never_free() -> None:
    for copied in list(_loaded):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(copied))


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_never_free)
