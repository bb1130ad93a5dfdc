"""The triplet loss: a row's partner is nearer than any other row, by a margin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from annotated_types import Interval
from jaxtyping import Bool, Float
from torch import Tensor

from zoo import Input
from zoo_crossmodal.blocks import Least, MeanAboveZero, Others, Part, in_blocks
from zoo_crossmodal.shared_space import SharedSpace, centre_of, distances_around, squared_distances


class Triplet(SharedSpace):
    """Each row's partner must be nearer than other rows by ``margin``, in squared distance, in both directions.

    With d(i, j) the distance between row i of one input and row j of the other, a triplet has the loss

        max(0, d(i, i)² - d(i, j)² + margin),  j ≠ i

    ``mining`` chooses the others j: ``hard`` the nearest one; ``semi-hard`` the nearest of those that are farther than
    the partner (if there are none, the loss is zero); ``all`` the mean over those within the margin. Embeddings have
    length one, so squared distances lie between 0 and 4, and so does ``margin``. Gaps, and rows that share a value, are
    as in ``SharedSpace``.

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

    def pair_loss_in_blocks(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"], others: Others
    ) -> Float[Tensor, " row"]:
        """Return the same over the rows that are not left out."""

        def mined(part: Part) -> tuple[Tensor, Tensor]:
            distances = distances_around(part.shared[0], part.first[0], part.second[0])
            partners = part.first[1].unsqueeze(1), part.second[1]
            if self.mining == "all":
                violations = ((self.margin + partner - distances).clamp(min=0) for partner in partners)
                by_row, by_column = (others.masked(found, part.block, 0.0, partners=False) for found in violations)
                return by_row, by_column
            candidates = others.masked(distances, part.block, float("inf"), partners=False)
            if self.mining == "hard":
                return candidates, candidates
            by_row, by_column = (candidates.masked_fill(distances <= one, float("inf")) for one in partners)
            return by_row, by_column

        partner = (first - second).square().sum(dim=-1)
        sides, centre = ([first, partner], [second, partner]), centre_of(first, second)
        if self.mining == "all":
            return sum(in_blocks(mined, MeanAboveZero(), *sides, centre), torch.zeros_like(partner)) / 2
        each = [(self.margin + partner - one).clamp(min=0) for one in in_blocks(mined, Least(), *sides, centre)]
        return (each[0] + each[1]) / 2

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
