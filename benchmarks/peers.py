"""Joint models' training against multivae's models, which train in a separate environment.

``ZOO_PEER_PYTHON`` names a Python that has multivae. Both train on the first 10,000 pictures of MNIST as both inputs,
in turn, a few steps each; ``peer_worker.py`` says how multivae's side is set up. It trains twice: as its users train,
and by a plain loop, so that only the models are compared.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from zoo_datasets.mnist import first_pictures

from benchmarks.measuring import Comparison
from benchmarks.objectives import recipe
from benchmarks.training import BATCH, HIDDEN, LATENT, LEARNING_RATE, SIDE, THREADS, in_turn
from zoo import Sample

PYTHON = "ZOO_PEER_PYTHON"
SAMPLES, CODE_HIDDEN = 10, 128
INPUTS = ("left", "right")
# A model of multivae's: our preset, and how much faster that is to be.
MODELS = {
    "mvae": ("mvae", 1.4),
    "mopoe": ("mopoe", 1.2),
    "jmvae": ("jmvae", 2.0),
    "jmvae-small": ("jmvae", None),
    "mmvae": ("mmvae", 1.05),
}


@dataclass(frozen=True)
class Digits:
    """The first 10,000 pictures of MNIST, each as both inputs."""

    license = "CC-BY-SA-3.0"

    @property
    def inputs(self) -> Mapping[str, str]:
        """Two pictures."""
        return dict.fromkeys(INPUTS, "image")

    def split(self, name: str) -> Sequence[Sample]:
        """Return the same rows whatever the name."""
        return [Sample(str(row), dict.fromkeys(INPUTS, picture)) for row, picture in enumerate(first_pictures()[0])]


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare samples a second for each number of threads; ``rounds`` of them are stretches within a few epochs."""
    import torch

    before = torch.get_num_threads()
    options: dict[str, dict[str, Any]] = {"mmvae": {"samples": SAMPLES}, "jmvae": {"hidden": [CODE_HIDDEN]}}
    with peer() as worker:
        for threads in THREADS:
            torch.set_num_threads(threads)
            for name, (preset, least) in MODELS.items():
                for by, trainer in (("multivae's trainer", True), ("a plain loop", False)):
                    settings = recipe(preset, INPUTS, options.get(preset, {}), decoders=True, data={"name": "digits"})
                    ours, other = in_turn(settings, partial(worker.seconds, name, trainer, threads))
                    what = f"training, {name}, batch {BATCH}, {threads} thread{'s'[: threads - 1]}, the other by {by}"
                    yield Comparison(what, BATCH / ours, BATCH / other, "samples/s", at_least=least)
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Worker:
    """A process that trains multivae's models."""

    process: subprocess.Popen[str]
    log: Path

    def ask(self, request: Mapping[str, Any]) -> None:
        """Send a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def seconds(self, model: str, trainer: bool, threads: int, steps: int) -> float:
        """Have a model take steps; return how long they took."""
        assert self.process.stdout is not None
        try:
            self.ask({"model": model, "trainer": trainer, "threads": threads, "steps": steps})
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise click.ClickException(f"the Python of {PYTHON} failed: {self.log.read_text()[-2000:]}")
        seconds: float = json.loads(answer)["seconds"]
        return seconds


@contextmanager
def peer() -> Iterator[Worker]:
    """Start the worker; end it afterwards."""
    python = os.environ.get(PYTHON, "")
    if not python:
        raise click.UsageError(
            f"{PYTHON} is not set: set it to a Python that has multivae; benchmarks/README.md says how to make one"
        )
    with tempfile.TemporaryDirectory() as folder:
        pixels, log = Path(folder) / "pixels.npy", Path(folder) / "log.txt"
        np.save(pixels, first_pictures()[0])
        with log.open("w") as errors:
            command = [python, str(Path(__file__).with_name("peer_worker.py"))]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder
            )
            worker = Worker(process, log)
            try:
                layers = {"side": SIDE, "hidden": HIDDEN, "latent": LATENT, "code_hidden": CODE_HIDDEN}
                steps = {"batch": BATCH, "learning_rate": LEARNING_RATE, "samples": SAMPLES}
                worker.ask({"pixels": str(pixels), **layers, **steps})
                yield worker
            finally:
                process.kill()
                process.communicate()
