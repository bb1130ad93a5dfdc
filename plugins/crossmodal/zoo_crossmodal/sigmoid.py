"""The sigmoid loss: every two rows are asked by themselves whether they belong together."""

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
from zoo_crossmodal.infonce import LARGEST_LOG_SCALE, LARGEST_SCALE, bounded_scale
from zoo_crossmodal.shared_space import SharedSpace


class Sigmoid(SharedSpace):
    """A space that all inputs share, learnt by telling for every two rows whether they are one thing.

    The loss of a row is the sum of the binary cross-entropies of its similarity to every row of the other input,
    scale · cosine + bias being the logit; both are learnt. ``scale`` is the inverse temperature at the start, at most
    100, and brought back to that after each step; ``bias`` starts low, since most pairs do not belong together. Gaps
    are as in ``SharedSpace``.

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
        """Bring a scale above 100 back to it."""
        self.log_scale.clamp_(max=LARGEST_LOG_SCALE)

    def pair_loss(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"]
    ) -> Float[Tensor, " row"]:
        """Return, for each row, the cross-entropies summed over all rows of the other input."""
        logits = bounded_scale(self.log_scale) * first @ second.T + self.bias
        # Every pair counts as one that does not belong together; at a partner -log(1 - p) - logit is -log p.
        return F.softplus(logits).sum(dim=-1) - logits.diagonal()
