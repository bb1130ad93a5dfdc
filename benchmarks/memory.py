"""Whether a training takes more memory the longer it runs."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import Comparison
from benchmarks.training import recipe, with_data

if TYPE_CHECKING:
    from zoo.training.train import TakenStep

EPOCHS = 20
FIRST_EPOCHS = 2
MOST_GROWTH = 1.02


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare the peak memory of all epochs with that of the first ones, in a separate process."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_train, args=(there,))
    process.start()
    first, last = here.recv()
    process.join()
    what = f"peak memory of {EPOCHS} epochs against {FIRST_EPOCHS}"
    yield Comparison(what, last / 1e6, first / 1e6, "MB", at_most=MOST_GROWTH)


def _train(answer: Connection) -> None:
    import psutil

    from zoo.discovery.plugins import installed
    from zoo.training.train import train

    levels: list[tuple[int, int]] = []

    def observe(taken: TakenStep) -> None:
        levels.append((taken.step, psutil.Process().memory_info().rss))

    with tempfile.TemporaryDirectory() as folder:
        path = train(recipe(EPOCHS), Path(folder), observe=observe, plugins=with_data(installed()))
        steps = int(path.parent.name.removeprefix("checkpoint-"))
    early = [level for step, level in levels if step <= steps * FIRST_EPOCHS / EPOCHS]
    answer.send((max(early), max(level for _, level in levels)))
