"""The zoo's training against a bare loop: same data, network, optimiser and flags, in turn.

The zoo's side is ``zoo.train`` as anybody calls it, its log included. Whenever it reports, after a few steps, the bare
loop takes as many.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measuring import Comparison, timed
from zoo import Recipe, Sample
from zoo.discovery.plugins import Component, Plugin, Plugins, installed

if TYPE_CHECKING:
    from zoo.training.train import TakenStep

THREADS = (1, 2)
ROWS, BATCH, SIDE = 9_000, 100, 28
HIDDEN, LATENT = 512, 16
LEARNING_RATE = 1e-3
WARM_UP_STEPS = 30
LEAST_SHARE = 0.9


@dataclass(frozen=True)
class Noise:
    """Pictures of noise, as a data set of the zoo: one per row, or one for each of ``names``.

    With ``gaps``, every third row lacks the last of them.
    """

    names: tuple[str, ...] = ("picture",)
    gaps: bool = False
    license = "MIT"

    @property
    def inputs(self) -> Mapping[str, str]:
        """All of them are pictures."""
        return dict.fromkeys(self.names, "image")

    def split(self, name: str) -> Sequence[Sample]:
        """Return the same rows whatever the name."""
        samples = [Sample(str(row), dict.fromkeys(self.names, picture)) for row, picture in enumerate(noise_pixels())]
        if self.gaps:
            gap = {self.names[-1]: None}
            samples[::3] = [replace(sample, inputs={**sample.inputs, **gap}) for sample in samples[::3]]
        return samples


def noise_pixels() -> Any:
    """Return the data of both sides as uint8, (row, height, width)."""
    return np.random.default_rng(0).integers(0, 256, (ROWS, SIDE, SIDE), np.uint8)


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare samples a second for each number of threads, over ``rounds`` epochs."""
    import torch

    before = torch.get_num_threads()
    for threads in THREADS:
        torch.set_num_threads(threads)
        ours, other = steps_in_turn(recipe(rounds), bare_steps())
        what = f"training a VAE, batch {BATCH}, {threads} thread{'s'[: threads - 1]}"
        yield Comparison(what, BATCH / ours, BATCH / other, "samples/s", at_least=LEAST_SHARE)
    torch.set_num_threads(before)


def steps_in_turn(recipe: Recipe, bare: Iterator[None]) -> tuple[float, float]:
    """Return the median seconds of a step of the zoo's and of a bare loop's, over stretches of a few steps each."""
    return in_turn(recipe, lambda steps: timed(lambda: deque(islice(bare, steps), maxlen=0)))


def in_turn(recipe: Recipe, take: Callable[[int], float]) -> tuple[float, float]:
    """Return the median seconds of a step of the zoo's and of another's, which ``take`` has take steps and times."""
    from zoo.training.train import train

    ours: list[float] = []
    other: list[float] = []
    steps_before, start = 0, 0.0

    def observe(taken: TakenStep) -> None:
        nonlocal steps_before, start
        took = time.perf_counter() - start
        steps = taken.step - steps_before
        other_took = take(steps)
        if taken.step > WARM_UP_STEPS:
            ours.append(took / steps)
            other.append(other_took / steps)
        steps_before, start = taken.step, time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        train(recipe, Path(folder), observe=observe, plugins=with_data(installed()))
    return statistics.median(ours), statistics.median(other)


def recipe(epochs: int) -> Recipe:
    """Return the recipe of a VAE of pictures of noise, trained for so many epochs."""
    picture = {
        "modality": {"name": "image", "size": SIDE, "channels": 1},
        "encoder": {"name": "mlp", "hidden": [HIDDEN]},
        "decoder": {"name": "mlp", "hidden": [HIDDEN]},
    }
    steps = epochs * ROWS // BATCH
    training = {"steps": steps, "batch_size": BATCH, "learning_rate": LEARNING_RATE, "checkpoint_every": steps}
    spec = {"objective": "vae", "latent_dim": LATENT, "inputs": {"picture": picture}}
    return Recipe.read({"spec": spec, "data": "noise", "training": training}, "benchmarks/training.py")


def with_data(plugins: Plugins) -> Plugins:
    """Return the plugins with the data sets of the benchmarks."""
    found = {"noise": f"{__name__}:Noise", "digits": "benchmarks.peers:Digits"}
    data = tuple(Component("dataset", name, target, "benchmarks") for name, target in found.items())
    return Plugins((*plugins.plugins, Plugin("benchmarks", __name__, "benchmarks", "0", data)))


def bare_steps() -> Iterator[None]:
    """Train the network of ``recipe`` with torch alone; each item that is requested is one step.

    It holds its pixels as floats, ready to use, where the zoo holds them as uint8 and reads them in the model. Mean and
    log-variance are two layers, as is usual, where the zoo has one of twice the width: the same numbers and products.
    """
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.manual_seed(0)
    pixels = torch.from_numpy(noise_pixels()).flatten(1).float() / 255
    encoder = nn.Sequential(nn.Linear(SIDE**2, HIDDEN), nn.ReLU())
    to_mean, to_log_var = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)
    decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, SIDE**2))
    parameters = [weight for part in (encoder, to_mean, to_log_var, decoder) for weight in part.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)
    while True:
        order = torch.randperm(ROWS)
        for start in range(0, ROWS, BATCH):
            x = pixels[order[start : start + BATCH]]
            features = encoder(x)
            mean, log_var = to_mean(features), to_log_var(features)
            z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
            reconstruction = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(dim=-1)
            kl = 0.5 * (mean * mean + log_var.exp() - log_var - 1).sum(dim=-1)
            loss = (reconstruction + kl).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield
