"""Every objective's training against a bare loop of the same mathematics: same data, networks, optimiser, in turn.

A bare loop holds its pixels as floats, ready to use, where the zoo holds them as uint8 and reads them in the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import Comparison
from benchmarks.training import (
    BATCH,
    HIDDEN,
    LATENT,
    LEARNING_RATE,
    LEAST_SHARE,
    ROWS,
    SIDE,
    noise_pixels,
    steps_in_turn,
)
from zoo import Recipe

if TYPE_CHECKING:
    from torch import Tensor

EPOCHS = 3
SHARE = 0.3
MARGIN = 0.2


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare samples a second, on one thread; ``rounds`` of them are stretches within a few epochs."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    bare = {
        "autoencoder": (("picture",), {}, bare_autoencoder(damaged=False)),
        "denoising": (("picture",), {"share": SHARE}, bare_autoencoder(damaged=True)),
        "infonce": (("left", "right"), {"learn_temperature": False}, bare_pairs(infonce)),
        "sigmoid": (("left", "right"), {}, bare_pairs(sigmoid, learnt=(10.0, -10.0))),
        "contrastive": (("left", "right"), {}, bare_pairs(contrastive)),
        "triplet": (("left", "right"), {"margin": MARGIN}, bare_pairs(triplet)),
        "alignment": (("left", "right"), {}, bare_pairs(alignment, unit_length=False)),
    }
    for name, (inputs, options, loop) in bare.items():
        ours, other = steps_in_turn(recipe(name, inputs, options), loop)
        what = f"training, {name}, batch {BATCH}, 1 thread"
        yield Comparison(what, BATCH / ours, BATCH / other, "samples/s", at_least=LEAST_SHARE)
    torch.set_num_threads(before)


def recipe(
    objective: str,
    inputs: tuple[str, ...],
    options: Mapping[str, Any],
    *,
    decoders: bool = False,
    gaps: bool = False,
    data: Mapping[str, Any] | None = None,
) -> Recipe:
    """Return the recipe of an objective; one input is decoded, several where ``decoders``.

    The data are pictures of noise, a third of the rows with a gap where ``gaps``, or ``data``.
    """
    layers = {"name": "mlp", "hidden": [HIDDEN]}
    picture: dict[str, Any] = {"modality": {"name": "image", "size": SIDE, "channels": 1}, "encoder": layers}
    if len(inputs) == 1 or decoders:
        picture["decoder"] = layers
    spec = {
        "objective": {"name": objective, **options},
        "latent_dim": LATENT,
        "inputs": dict.fromkeys(inputs, picture),
    }
    total = EPOCHS * ROWS // BATCH
    training = {"steps": total, "batch_size": BATCH, "learning_rate": LEARNING_RATE, "checkpoint_every": total}
    noise = {"name": "noise", "names": list(inputs), "gaps": gaps}
    return Recipe.read({"spec": spec, "data": data or noise, "training": training}, "benchmarks/objectives.py")


def bare_autoencoder(*, damaged: bool) -> Iterator[None]:
    """Train an autoencoder of 784-512-16 layers; each item that is requested is one step."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    pixels = torch.from_numpy(noise_pixels()).flatten(1).float() / 255
    encoder = nn.Sequential(nn.Linear(SIDE**2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, LATENT))
    decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, SIDE**2))

    def loss_of(x: Tensor) -> Tensor:
        seen = x * (torch.rand_like(x) >= SHARE) if damaged else x
        logits = decoder(encoder(seen))
        return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=-1).mean()

    return steps([pixels], [*encoder.parameters(), *decoder.parameters()], loss_of)


def bare_pairs(
    pair_loss: Callable[..., Tensor], *, unit_length: bool = True, learnt: tuple[float, ...] = ()
) -> Iterator[None]:
    """Train two encoders of 784-512-16 layers, and the numbers ``learnt``, by the loss of a batch of pairs."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    pixels = torch.from_numpy(noise_pixels()).flatten(1).float() / 255
    left, right = (nn.Sequential(nn.Linear(SIDE**2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, LATENT)) for _ in range(2))

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        first, second = left(x), right(y)
        if unit_length:
            first, second = F.normalize(first), F.normalize(second)
        return pair_loss(first, second, *numbers)

    numbers = [nn.Parameter(torch.tensor(start)) for start in learnt]
    return steps([pixels, pixels.clone()], [*left.parameters(), *right.parameters(), *numbers], loss_of)


def steps(inputs: Sequence[Tensor], parameters: list[Any], loss_of: Callable[..., Tensor]) -> Iterator[None]:
    """Take a step of fused Adam each time that the next item is asked for."""
    import torch

    optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)
    while True:
        order = torch.randperm(ROWS)
        for start in range(0, ROWS, BATCH):
            rows = order[start : start + BATCH]
            loss = loss_of(*(pixels[rows] for pixels in inputs))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield


def infonce(first: Tensor, second: Tensor) -> Tensor:
    """Return the symmetric cross-entropy at the temperature 0.07."""
    import torch
    import torch.nn.functional as F

    logits, partner = first @ second.T / 0.07, torch.arange(len(first))
    return (F.cross_entropy(logits, partner) + F.cross_entropy(logits.T, partner)) / 2


def sigmoid(first: Tensor, second: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Return the sigmoid loss."""
    import torch
    import torch.nn.functional as F

    sign = 2 * torch.eye(len(first)) - 1
    return -F.logsigmoid(sign * (scale * first @ second.T + bias)).sum() / len(first)


def contrastive(first: Tensor, second: Tensor) -> Tensor:
    """Return the contrastive loss of pairs at the margin 1."""
    import torch

    distances = torch.cdist(first, second)
    others = (1 - distances).clamp(min=0).square() * (1 - torch.eye(len(first)))
    return (distances.diagonal().square().mean() + others.sum() / (len(first) * (len(first) - 1))) / 2


def triplet(first: Tensor, second: Tensor) -> Tensor:
    """Return the triplet loss with semi-hard mining, in both directions."""
    import torch

    squared = 2 - 2 * first @ second.T
    total = squared.new_zeros(())
    for distances in (squared, squared.T):
        partner = distances.diagonal()
        others = (distances > partner.unsqueeze(1)) & ~torch.eye(len(first), dtype=torch.bool)
        nearest = distances.masked_fill(~others, float("inf")).amin(dim=1)
        total = total + (MARGIN + partner - nearest).clamp(min=0).mean() / 2
    return total


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Return the squared distance with the guard of variance and covariance."""
    import torch

    total = (first - second).square().sum(dim=1).mean()
    for embedded in (first, second):
        covariance = torch.cov(embedded.T)
        variance = covariance.diagonal()
        total = total + (1 - (variance + 1e-4).sqrt()).clamp(min=0).sum()
        total = total + (covariance.square().sum() - variance.square().sum()) / 25
    return total
