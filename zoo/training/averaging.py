"""A moving average of the weights, which is what a training with ``ema`` measures, saves and exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.errors import IntegrityError


class Averages:
    """The average of every trained weight, and of every buffer of floats, such as the statistics of a batch norm.

    After the step s, counted from 0, with the decay d, which grows up to ``ema``:

        d = min(ema, (1 + s) / (10 + s))
        average = d · average + (1 − d) · weight

    Source: the decay that grows is that of TensorFlow's ``tf.train.ExponentialMovingAverage`` with ``num_updates``.
    """

    def __init__(self, objective: nn.Module, ema: float) -> None:
        """The averages begin as the weights that ``objective`` has."""
        self._ema = ema
        self._weights = _averaged(objective)
        self._live = list(self._weights.values())
        self._means = [tensor.detach().clone() for tensor in self._live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after ``step`` into the average."""
        decay = min(self._ema, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._means, [tensor.detach() for tensor in self._live], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have its averages as weights within the block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def live(self) -> dict[str, Tensor]:
        """Return the weights that training continues from, by name."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self._weights.items()}

    @torch.no_grad()
    def _swap(self) -> None:
        for live, mean in zip(self._live, self._means, strict=True):
            kept = live.clone()
            live.copy_(mean)
            mean.copy_(kept)


@torch.no_grad()
def put(objective: nn.Module, live: Mapping[str, Tensor], path: Path) -> None:
    """Give a model the weights that its training continues from, out of the checkpoint's folder ``path``.

    Raises IntegrityError if it holds others.
    """
    own = objective.state_dict(keep_vars=True)
    for name, tensor in live.items():
        if name not in own or own[name].shape != tensor.shape:
            raise IntegrityError(
                f"{path} holds {name!r} of the shape {tuple(tensor.shape)}, which this model does not have; delete "
                f"{path} and `resume=True` continues from the one before"
            )
        own[name].copy_(tensor)


def _averaged(objective: nn.Module) -> dict[str, Tensor]:
    found: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in objective.state_dict(keep_vars=True).items():
        if tensor.is_floating_point() and (tensor.requires_grad or not isinstance(tensor, nn.Parameter)):
            found.setdefault(id(tensor), (name, tensor))
    return dict(found.values())
