"""The contrastive loss of pairs: partners move together, other rows stay a margin apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from annotated_types import Interval
from jaxtyping import Float
from torch import Tensor

from zoo import Input
from zoo_crossmodal.blocks import Others, Part, Sum, in_blocks
from zoo_crossmodal.shared_space import SharedSpace, centre_of, distances_around, squared_distances

# The square root has no bounded gradient at zero.
SMALLEST_SQUARED_DISTANCE = 1e-12


class Contrastive(SharedSpace):
    """A Siamese pair of encoders: partners move together, all others at least ``margin`` apart.

    With d(i, j) the distance between the embedding of row i by one input and that of row j by the other, the loss of
    row i is

        1/2 d(i, i)² + 1/2 mean_{j ≠ i} max(0, margin - d(i, j))²

    where the mean is taken over both directions, d(i, j) and d(j, i). Embeddings have length one, so distances lie
    between 0 and 2, and so does ``margin``. Gaps, and rows that share a value, are as in ``SharedSpace``.

    Source: Hadsell, Chopra & LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping", equation 4.
    """

    def __init__(
        self, inputs: Mapping[str, Input], latent_dim: int, *, margin: Annotated[float, Interval(gt=0, le=2)] = 1.0
    ) -> None:
        super().__init__(inputs, latent_dim, "contrastive")
        self.margin = margin

    def pair_loss(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"]
    ) -> Float[Tensor, " row"]:
        """Return half the squared distance to the partner, plus half the mean of the others' squared terms."""
        squared = squared_distances(first, second)
        intrusion = self._intrusion(squared)
        of_others = intrusion.sum(dim=0) + intrusion.sum(dim=1) - 2 * intrusion.diagonal()
        both_directions = of_others / (2 * max(1, len(squared) - 1))
        return (squared.diagonal() + both_directions) / 2

    def pair_loss_in_blocks(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"], others: Others
    ) -> Float[Tensor, " row"]:
        """Return the same over the rows that are not left out."""

        def intrusions(part: Part) -> tuple[Tensor, Tensor]:
            found = self._intrusion(distances_around(part.shared[0], part.first[0], part.second[0]))
            found = others.masked(found, part.block, 0.0, partners=False)
            return found, found

        of_others = sum(in_blocks(intrusions, Sum(), [first], [second], centre_of(first, second)))
        both_directions = of_others / (2 * others.counts(first).clamp(min=1))
        return ((first - second).square().sum(dim=-1) + both_directions) / 2

    def _intrusion(self, squared: Float[Tensor, "*place"]) -> Float[Tensor, "*place"]:
        return (self.margin - squared.clamp(min=SMALLEST_SQUARED_DISTANCE).sqrt()).clamp(min=0).square()
