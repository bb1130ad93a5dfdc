"""InfoNCE: the embeddings of one row's inputs agree, those of different rows do not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Input
from zoo_crossmodal.blocks import LogSumExp, Others, Part, Sum, in_blocks
from zoo_crossmodal.shared_space import SharedSpace

LARGEST_SCALE = 100.0
LARGEST_LOG_SCALE = math.log(LARGEST_SCALE)


class InfoNCE(SharedSpace):
    """A shared space of all inputs, learnt by distinguishing each row's partner from those of the other rows.

    With s(i, j) the cosine similarity between row i of one input and row j of the other, and t the temperature, the
    loss of row i is

        -log(exp(s(i, i)/t) / Σ_j exp(s(i, j)/t))

    averaged over both directions. Gaps, and rows that share a value, are as in ``SharedSpace``.

    ``temperature`` is the initial value of t. It is at least 0.01; if it is learnt, training brings it back to this
    bound after each step. ``label_smoothing`` is the fraction of the target distribution that is spread over all rows.

    Source: van den Oord et al. 2018, arXiv 1807.03748, equation 4; the symmetric form and the learnt temperature as in
    Radford et al. 2021, arXiv 2103.00020, figure 3 and section 2.5.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        temperature: Annotated[float, Ge(1 / LARGEST_SCALE)] = 0.07,
        learn_temperature: bool = True,
        label_smoothing: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__(inputs, latent_dim, "infonce")
        self.label_smoothing = label_smoothing
        self.log_scale: Tensor
        log_scale = torch.tensor(-math.log(temperature))
        if learn_temperature:
            self.register_parameter("log_scale", nn.Parameter(log_scale))
        else:
            self.register_buffer("log_scale", log_scale)

    @torch.no_grad()
    def keep_bounds(self) -> None:
        """Raise a temperature below 0.01 to 0.01."""
        self.log_scale.clamp_(max=LARGEST_LOG_SCALE)

    def pair_loss(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"]
    ) -> Float[Tensor, " row"]:
        """Return the cross-entropy of each row's partner, the mean of both directions."""
        logits = bounded_scale(self.log_scale) * first @ second.T
        partner = torch.arange(len(logits), device=logits.device)
        to_second, to_first = (
            F.cross_entropy(directed, partner, reduction="none", label_smoothing=self.label_smoothing)
            for directed in (logits, logits.T)
        )
        return (to_second + to_first) / 2

    def pair_loss_in_blocks(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"], others: Others
    ) -> Float[Tensor, " row"]:
        """Return the same over the rows that are not left out."""

        def logits(part: Part, left_out: float = float("-inf")) -> tuple[Tensor, Tensor]:
            every = part.shared[0] * part.first[0] @ part.second[0].T
            found = others.masked(every, part.block, left_out, partners=True)
            return found, found

        scale = bounded_scale(self.log_scale)
        of_all = sum(in_blocks(logits, LogSumExp(), [first], [second], scale))
        target = (1 - self.label_smoothing) * 2 * scale * (first * second).sum(dim=-1)
        if self.label_smoothing:
            shares = self.label_smoothing / (others.counts(first) + 1).to(first.dtype)
            target = target + shares * sum(in_blocks(partial(logits, left_out=0.0), Sum(), [first], [second], scale))
        return (of_all - target) / 2


def bounded_scale(log_scale: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Return the inverse temperature, at most 100, without a gradient above that."""
    return log_scale.clamp(max=LARGEST_LOG_SCALE).exp()
