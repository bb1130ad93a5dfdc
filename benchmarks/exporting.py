"""How long the export of each entry takes, every graph judged, as a separate process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.commands import answer, zoo_command
from benchmarks.measuring import Comparison, timed
from zoo.catalogue.registry import entries
from zoo.discovery.plugins import installed

MOST_SECONDS = 30


def measure(rounds: int) -> Iterator[Comparison]:
    """Time ``zoo export`` of each entry once."""
    for name in entries(installed()):
        with tempfile.TemporaryDirectory() as folder:
            command = zoo_command("export", name, "--out", str(Path(folder) / "bundle"))
            took = timed(partial(answer, command))
        yield Comparison(f"zoo export {name}", took, None, "s", at_most=MOST_SECONDS)
