"""Several latents per row: folded into the batch axis for the decoder, and the likelihood unfolded again."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from zoo.abilities import ScoresRepeatedly
from zoo.modules import Decoder, Likelihood, Tensors


class Folded:
    """A likelihood of latents whose leading axes (samples, experts) were folded into rows; its results have them again.

    Each row of the tensors is scored under all of its latents.
    """

    def __init__(self, likelihood: Likelihood, leading: tuple[int, ...]) -> None:
        """``leading`` is the shape before the latent's last axis, batch included."""
        self.likelihood = likelihood
        self.leading = leading

    def __repr__(self) -> str:
        return f"<{type(self.likelihood).__name__} of latents of shape {self.leading}>"

    def log_prob(self, tensors: Tensors) -> Float[Tensor, "*leading"]:
        """Return the log-likelihood of each row under each of its latents."""
        if isinstance(self.likelihood, ScoresRepeatedly):
            scores = self.likelihood.repeated_log_prob(tensors, math.prod(self.leading[:-1]))
        else:
            scores = self.likelihood.log_prob(self._repeated(tensors))
        return scores.reshape(self.leading)

    def mode(self) -> Tensors:
        """Return the most probable tensors of each latent."""
        return self._unfold(self.likelihood.mode())

    def target(self, tensors: Tensors) -> Tensors:
        """Return the tensors that the mode of each latent is compared with."""
        return self._unfold(self.likelihood.target(self._repeated(tensors)))

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw from the distribution of each latent."""
        return self._unfold(self.likelihood.sample(generator))

    def _repeated(self, tensors: Tensors) -> Tensors:
        copies = self.leading[:-1]
        return {
            name: tensor.expand(*copies, *tensor.shape).reshape(-1, *tensor.shape[1:])
            for name, tensor in tensors.items()
        }

    def _unfold(self, tensors: Tensors) -> Tensors:
        return {name: tensor.reshape(*self.leading, *tensor.shape[1:]) for name, tensor in tensors.items()}


def decode(decoder: Decoder, latent: Float[Tensor, "*leading latent"]) -> Likelihood:
    """Decode latents with any number of axes before the batch axis, such as several samples per row.

    The axes are folded: the decoder sees one batch in which each latent is a row, without a loop. The result is a
    ``Folded``, whose methods return the leading axes again.
    """
    flat: Likelihood = decoder(latent.reshape(-1, latent.shape[-1]))
    return flat if latent.dim() == 2 else Folded(flat, tuple(latent.shape[:-1]))
