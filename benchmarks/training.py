"""The zoo's training against a bare loop: same data, network, optimiser and flags, epochs in turn.

The zoo's side is ``zoo.train`` as anybody calls it, its log included. Whenever it reports the end of an epoch, the bare
loop trains one.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measuring import Comparison, timed
from zoo import Recipe, Sample
from zoo.plugins import Component, Plugin, Plugins, installed

if TYPE_CHECKING:
    from zoo.training import Progress

THREADS = (1, 2)
ROWS, BATCH, SIDE = 9_000, 100, 28
HIDDEN, LATENT = 512, 16
LEARNING_RATE = 1e-3
STEPS = ROWS // BATCH  # of an epoch
WARM_UP_EPOCHS = 1
LEAST_SHARE = 0.9


@dataclass(frozen=True)
class Noise:
    """Pictures of noise, as a data set of the zoo."""

    license = "MIT"

    @property
    def inputs(self) -> Mapping[str, str]:
        """One picture."""
        return {"picture": "image"}

    def split(self, name: str) -> Sequence[Sample]:
        """Return the same rows whatever the name."""
        return [Sample(str(row), {"picture": picture}) for row, picture in enumerate(noise_pixels())]


def noise_pixels() -> Any:
    """Return the data of both sides as uint8, (row, height, width)."""
    return np.random.default_rng(0).integers(0, 256, (ROWS, SIDE, SIDE), np.uint8)


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare samples a second for each number of threads."""
    import torch

    before = torch.get_num_threads()
    for threads in THREADS:
        torch.set_num_threads(threads)
        ours, other = _epochs_in_turn(rounds)
        what = f"training a VAE, batch {BATCH}, {threads} thread{'s'[: threads - 1]}"
        yield Comparison(what, ROWS / ours, ROWS / other, "samples/s", at_least=LEAST_SHARE)
    torch.set_num_threads(before)


def _epochs_in_turn(rounds: int) -> tuple[float, float]:
    """Return the median seconds of an epoch of the zoo's and of the bare loop's."""
    from zoo import train

    bare_epoch = make_bare_epoch()
    ours: list[float] = []
    other: list[float] = []
    start = 0.0

    def observe(progress: Progress) -> None:
        nonlocal start
        if progress.step % STEPS == 0:
            ours.append(time.perf_counter() - start)
            other.append(timed(bare_epoch))
            start = time.perf_counter()

    epochs = WARM_UP_EPOCHS + rounds
    with tempfile.TemporaryDirectory() as folder:
        train(_recipe(epochs), Path(folder), observe=observe, plugins=_with_noise(installed()))
    return statistics.median(ours[WARM_UP_EPOCHS:]), statistics.median(other[WARM_UP_EPOCHS:])


def _recipe(epochs: int) -> Recipe:
    picture = {
        "modality": {"name": "image", "size": SIDE, "channels": 1},
        "encoder": {"name": "mlp", "hidden": [HIDDEN]},
        "decoder": {"name": "mlp", "hidden": [HIDDEN]},
    }
    steps = epochs * STEPS
    training = {"steps": steps, "batch_size": BATCH, "learning_rate": LEARNING_RATE, "checkpoint_every": steps}
    spec = {"objective": "vae", "latent_dim": LATENT, "inputs": {"picture": picture}}
    return Recipe.read({"spec": spec, "data": "noise", "training": training}, "benchmarks/training.py")


def _with_noise(plugins: Plugins) -> Plugins:
    noise = Component("dataset", "noise", f"{__name__}:Noise", "benchmarks")
    return Plugins((*plugins.plugins, Plugin("benchmarks", "benchmarks", "0", (noise,))))


def make_bare_epoch() -> Callable[[], None]:
    """Return a function that trains the network of ``_recipe`` for an epoch, with nothing but torch.

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

    def epoch() -> None:
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

    return epoch
