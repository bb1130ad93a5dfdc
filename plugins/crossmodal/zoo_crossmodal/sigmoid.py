"""The sigmoid loss: for every two rows by themselves, whether they belong together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Interval, IsFinite
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Input
from zoo_crossmodal.blocks import Others, Part, Sum, in_blocks
from zoo_crossmodal.infonce import LARGEST_LOG_SCALE, LARGEST_SCALE, bounded_scale
from zoo_crossmodal.shared_space import SharedSpace


class Sigmoid(SharedSpace):
    """A shared space of all inputs, learnt by deciding for every two rows whether they are partners.

    With s(i, j) the cosine similarity between row i of one input and row j of the other, and y(i, j) = 1 for partners
    (i = j) and -1 for all others, the loss of row i is

        Σ_j log(1 + exp(-y(i, j) (scale * s(i, j) + bias)))

    ``scale``, an inverse temperature, and ``bias`` are initial values; both are learnt. ``scale`` is at most 100, and
    training brings it back to this bound after each step. ``bias`` starts low, since most pairs are not partners. Gaps,
    and rows that share a value, are as in ``SharedSpace``.

    Source: Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training", arXiv 2303.15343, section 3.2.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        scale: Annotated[float, Interval(gt=0, le=LARGEST_SCALE)] = 10.0,
        bias: IsFinite[float] = -10.0,
    ) -> None:
        super().__init__(inputs, latent_dim, "sigmoid")
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = nn.Parameter(torch.tensor(float(bias)))

    @torch.no_grad()
    def keep_bounds(self) -> None:
        """Lower a scale above 100 to 100."""
        self.log_scale.clamp_(max=LARGEST_LOG_SCALE)

    def pair_loss(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"]
    ) -> Float[Tensor, " row"]:
        """Return, for each row, the cross-entropies summed over all rows of the other input."""
        logits = bounded_scale(self.log_scale) * first @ second.T + self.bias
        # Every pair counts as one that does not belong together; for a partner, -log(1 - p) - logit = -log p.
        return F.softplus(logits).sum(dim=-1) - logits.diagonal()

    def pair_loss_in_blocks(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"], others: Others
    ) -> Float[Tensor, " row"]:
        """Return the same over the rows that are not left out."""

        def entropies(part: Part) -> tuple[Tensor, None]:
            logits = part.shared[0] * part.first[0] @ part.second[0].T + part.shared[1]
            return others.masked(F.softplus(logits), part.block, 0.0, partners=True), None

        scale = bounded_scale(self.log_scale)
        of_all, _ = in_blocks(entropies, Sum(), [first], [second], scale, self.bias)
        return of_all - (scale * (first * second).sum(dim=-1) + self.bias)
