"""MVTCAE: the joint posterior is a product of experts that is kept close to each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from annotated_types import Ge, Interval

from zoo import Input
from zoo_joint.matched import MatchedVAE
from zoo_joint.mvae import ProductOfExperts


class MVTCAE(MatchedVAE):
    """The multi-view total-correlation autoencoder.

    With n the number of the model's inputs and q the product of the experts of those that a row has, the loss of the
    row is, in nats, (n - alpha) / n times the negative log-likelihoods of its inputs, plus ``beta`` times
    (1 - alpha) KL(q ‖ prior) and alpha / n times the sum of KL(q ‖ expert) over its inputs. ``alpha`` near 1 weighs the
    conditional information bottleneck, which makes each expert alone stand for all; near 0 the ordinary one.
    ``importance_samples`` latents a row estimate the likelihood of held-out rows.

    Gaps: an absent input is no expert and is in no term. n stays that of all inputs, so that a row's inputs weigh the
    same whatever else it has: with n = 1 a row of one input would count 1 - alpha, a tenth of what it does in company.

    Source: Hwang et al. 2021, "Multi-view representation learning via total correlation objective", NeurIPS 34; the
    weights are those of the authors' code, and of multivae's with gaps.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        alpha: Annotated[float, Interval(ge=0, le=1)] = 0.9,
        beta: Annotated[float, Ge(0)] = 1.0,
        importance_samples: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(inputs, latent_dim, "mvtcae", importance_samples=importance_samples)
        self.posterior: ProductOfExperts = ProductOfExperts(self.feature_dims, latent_dim, prior_expert=False)
        self.alpha = alpha
        self.beta = beta

    def weights(self) -> tuple[float, float, float]:
        """Return (n - alpha) / n, and beta times 1 - alpha and alpha / n."""
        share = self.alpha / len(self.modalities)
        return 1 - share, self.beta * (1 - self.alpha), self.beta * share
