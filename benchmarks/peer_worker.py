"""Train the models of multivae on demand, in a separate environment: ``peers.py`` starts this as a script.

It imports nothing of ours. The first line on stdin is an object with the settings and the file of the pixels; every
further one asks for steps: {"model": "mvae", "trainer": false, "threads": 1, "steps": 10}. Each is answered by a line
on stdout.

The models get the layers and the likelihood that ours have, and floats that are ready to use. They train by a plain
loop with fused Adam, or by multivae's own trainer, with its defaults. The check of a Bernoulli distribution's values is
off: it refuses grey pixels.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, count, islice
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

if importlib.util.find_spec("torchvision") is None:
    # For its data sets, pictures and scores, none of which train anything.
    for _name in ("", ".datasets", ".datasets.utils", ".transforms", ".utils"):
        sys.modules[f"torchvision{_name}"] = MagicMock()

from multivae import models
from multivae.data.datasets import MultimodalBaseDataset
from multivae.models.nn import BaseJointEncoder
from multivae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn.base_architectures import BaseDecoder, BaseEncoder

INPUTS = ("left", "right")
Takes = Callable[[int], float]


def main() -> None:
    """Answer until stdin ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever else prints
    settings = json.loads(sys.stdin.readline())
    torch.distributions.Distribution.set_default_validate_args(False)
    pixels = torch.from_numpy(np.load(settings["pixels"])).flatten(1).float() / 255
    data = MultimodalBaseDataset({name: pixels.clone() for name in INPUTS})
    kinds = {False: plain_loop, True: own_trainer}
    ready: dict[tuple[str, bool], Takes] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        torch.set_num_threads(asked["threads"])
        key = asked["model"], asked["trainer"]
        if key not in ready:
            torch.manual_seed(0)
            ready[key] = kinds[asked["trainer"]](made(asked["model"], settings), data, settings)
        start = time.perf_counter()
        loss = ready[key](asked["steps"])
        answers.write(json.dumps({"seconds": time.perf_counter() - start, "loss": loss}) + "\n")
        answers.flush()


def plain_loop(model: nn.Module, data: MultimodalBaseDataset, settings: dict[str, Any]) -> Takes:
    """Return a function that takes steps and returns the loss of a row in the last one."""
    batch = settings["batch"]
    optimiser = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"], fused=True)

    def losses() -> Iterator[float]:
        while True:
            order = torch.randperm(len(data))
            for start in range(0, len(data), batch):
                chosen = order[start : start + batch]
                output = model(MultimodalBaseDataset({name: held[chosen] for name, held in data.data.items()}))
                optimiser.zero_grad()
                output.loss.backward()
                optimiser.step()
                yield output.loss_sum.item() / len(chosen)

    taken = losses()
    return lambda steps: deque(islice(taken, steps), maxlen=1)[0]


def own_trainer(model: nn.Module, data: MultimodalBaseDataset, settings: dict[str, Any]) -> Takes:
    """Return a function that takes steps and returns the mean loss of a row; the trainer counts them as an epoch."""
    config = BaseTrainerConfig(
        output_dir="trained", per_device_train_batch_size=settings["batch"], learning_rate=settings["learning_rate"]
    )
    trainer = BaseTrainer(model, data, training_config=config)
    some = Some(trainer.train_loader)
    trainer.train_loader = some

    def take(steps: int) -> float:
        some.steps = steps
        loss, _ = trainer.train_step(epoch=1)
        return float(loss) * len(data) / (steps * settings["batch"])

    return take


class Some:
    """The next ``steps`` batches of a loader, over and over."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.dataset = loader.dataset
        self.steps = 1
        self.batches = chain.from_iterable(iter(loader) for _ in count())

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        return islice(self.batches, self.steps)


def made(name: str, settings: dict[str, Any]) -> nn.Module:
    """Return a model of multivae with layers like ours."""
    pixels, hidden, latent = settings["side"] ** 2, settings["hidden"], settings["latent"]
    config = {
        "n_modalities": len(INPUTS),
        "latent_dim": latent,
        "input_dims": dict.fromkeys(INPUTS, (pixels,)),
        "decoders_dist": dict.fromkeys(INPUTS, "bernoulli"),
    }
    encoders = {name: Encoder(pixels, hidden, latent) for name in INPUTS}
    decoders = {name: Decoder(pixels, hidden, latent) for name in INPUTS}
    if name == "mvae":
        return models.MVAE(models.MVAEConfig(**config, warmup=0), encoders, decoders)
    if name == "mopoe":
        return models.MoPoE(models.MoPoEConfig(**config), encoders, decoders)
    if name == "jmvae":  # with the joint encoder that multivae makes of copies of the encoders
        return models.JMVAE(models.JMVAEConfig(**config, warmup=0), encoders, decoders)
    if name == "jmvae-small":
        joint = JointEncoder(pixels, hidden, settings["code_hidden"], latent)
        return models.JMVAE(models.JMVAEConfig(**config, warmup=0), encoders, decoders, joint)
    options = {"prior_and_posterior_dist": "normal", "learn_prior": False, "loss": "iwae_looser"}
    return models.MMVAE(models.MMVAEConfig(**config, **options, K=settings["samples"]), encoders, decoders)


class Encoder(BaseEncoder):
    """Pixels, one hidden layer, a Gaussian."""

    def __init__(self, pixels: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.latent_dim = latent
        self.layers = nn.Sequential(nn.Linear(pixels, hidden), nn.ReLU())
        self.mean, self.log_var = nn.Linear(hidden, latent), nn.Linear(hidden, latent)

    def forward(self, pixels: Tensor) -> ModelOutput:
        """Return the Gaussian."""
        features = self.layers(pixels)
        return ModelOutput(embedding=self.mean(features), log_covariance=self.log_var(features))


class JointEncoder(BaseJointEncoder):
    """The hidden layer of each input's own, side by side through another, a Gaussian."""

    def __init__(self, pixels: int, hidden: int, code_hidden: int, latent: int) -> None:
        super().__init__()
        self.latent_dim = latent
        self.each = nn.ModuleDict({name: nn.Sequential(nn.Linear(pixels, hidden), nn.ReLU()) for name in INPUTS})
        self.joint = Encoder(len(INPUTS) * hidden, code_hidden, latent)

    def forward(self, data: dict[str, Tensor]) -> ModelOutput:
        """Return the Gaussian."""
        return self.joint(torch.cat([layers(data[name]) for name, layers in self.each.items()], dim=-1))


class Decoder(BaseDecoder):
    """A latent, one hidden layer, logits."""

    def __init__(self, pixels: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, pixels))

    def forward(self, latent: Tensor) -> ModelOutput:
        """Return the logits."""
        return ModelOutput(reconstruction=self.layers(latent))


if __name__ == "__main__":
    main()
