"""The triplet loss: a row's partner is nearer than any other row, by a margin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from annotated_types import Interval
from jaxtyping import Bool, Float
from torch import Tensor

from zoo import Input
from zoo_crossmodal.shared_space import SharedSpace, squared_distances


class Triplet(SharedSpace):
    """Each row's partner must be nearer than other rows by ``margin``, in squared distance, in both directions.

    With d(i, j) the distance between row i of one input and row j of the other, a triplet has the loss

        max(0, d(i, i)² - d(i, j)² + margin),  j ≠ i

    ``mining`` chooses the others j: ``hard`` the nearest one; ``semi-hard`` the nearest of those that are farther than
    the partner (if there are none, the loss is zero); ``all`` the mean over those within the margin. Embeddings have
    length one, so squared distances lie between 0 and 4, and so does ``margin``. Gaps are as in ``SharedSpace``.

    Source: Schroff, Kalenichenko & Philbin 2015, "FaceNet", arXiv 1503.03832, section 3.1 and 3.2; the hardest of the
    batch, and the mean over those that are not zero, as in Hermans, Beyer & Leibe 2017, arXiv 1703.07737.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        margin: Annotated[float, Interval(gt=0, le=4)] = 0.2,
        mining: Literal["hard", "semi-hard", "all"] = "semi-hard",
    ) -> None:
        super().__init__(inputs, latent_dim, "triplet")
        self.margin = margin
        self.mining = mining

    def pair_loss(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"]
    ) -> Float[Tensor, " row"]:
        """Return the mean of both directions."""
        distances = squared_distances(first, second)
        return (self._one_way(distances) + self._one_way(distances.T)) / 2

    def _one_way(self, distances: Float[Tensor, "row other"]) -> Float[Tensor, " row"]:
        partner = distances.diagonal().unsqueeze(1)
        others = ~torch.eye(len(distances), dtype=torch.bool, device=distances.device)
        if self.mining == "all":
            violations = (self.margin + partner - distances).clamp(min=0) * others
            return violations.sum(dim=1) / (violations > 0).sum(dim=1).clamp(min=1)
        candidates = others if self.mining == "hard" else others & (distances > partner)
        return (self.margin + partner.squeeze(1) - _nearest(distances, candidates)).clamp(min=0)


def _nearest(distances: Float[Tensor, "row other"], candidates: Bool[Tensor, "row other"]) -> Float[Tensor, " row"]:
    """Return the least distance to a candidate; infinity if there is none."""
    if not len(distances):
        return distances.new_zeros(0)
    return distances.masked_fill(~candidates, float("inf")).amin(dim=1)
