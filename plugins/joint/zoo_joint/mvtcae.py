"""MVTCAE: the joint posterior is a product of experts, and is kept close to each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from annotated_types import Ge, Interval

from zoo import Input
from zoo_joint.matched import MatchedVAE
from zoo_joint.mvae import ProductOfExperts


class MVTCAE(MatchedVAE):
    """The multi-view total-correlation autoencoder.

    With n the number of the model's inputs, q_i the expert of a row's input x_i, and q the product of its present
    experts, the loss of the row is, in nats,

        (n - alpha)/n Σ_i -E_q log p(x_i | z) + beta ((1 - alpha) KL(q ‖ N(0, I)) + alpha/n Σ_i KL(q ‖ q_i))

    With ``alpha`` near 1 the last term dominates, the conditional information bottleneck, by which each expert alone
    represents all inputs; with ``alpha`` near 0 the ordinary bottleneck dominates. The likelihood of held-out rows is
    estimated from ``importance_samples`` latents per row.

    Gaps: an absent input has no expert and is in no term. n stays the number of all inputs, so that an input has the
    same weight whatever else the row has. With n = 1, a row of one input would have the weight 1 - alpha, a tenth of
    its weight beside other inputs.

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
        """Return (n - alpha)/n, beta (1 - alpha), and beta alpha/n."""
        share = self.alpha / len(self.modalities)
        return 1 - share, self.beta * (1 - self.alpha), self.beta * share
