"""The list of faults."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A fault of some kind, the graph that it is planted in, and what plants it.

    ``plant`` changes a file and returns the name of the value that is wrong from then on. ``equivalent`` says why no
    answer changes, if none does.
    """

    kind: str
    name: str
    structure: str
    plant: Callable
    equivalent: str = ""
    fast: bool = False


FAULTS = []


def fault(kind, structure, name, *, equivalent="", fast=False):
    """Put a function on the list."""

    def listed(plant):
        FAULTS.append(Fault(kind, name, structure, plant, equivalent, fast))
        return plant

    return listed
