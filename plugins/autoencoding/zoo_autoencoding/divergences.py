"""The divergence of a posterior from the prior."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from zoo import Tensors, limited


@dataclass(frozen=True)
class GaussianKL:
    """KL(N(mean, var) ‖ N(0, I)) of a Gaussian posterior, with the weight ``beta`` in the loss.

    With ``beta = 1`` the loss is the negative ELBO; a larger weight leads to fewer, more independent dimensions of the
    latent.

    Source: Higgins et al. 2017, "beta-VAE", eq. 4.
    """

    beta: float = 1.0

    def __call__(self, parameters: Tensors) -> Float[Tensor, " batch"]:
        """Return the divergence of each row in nats, without the weight."""
        return gaussian_kl(parameters["mean"], parameters["log_var"])


def gaussian_kl(mean: Float[Tensor, "*row latent"], log_var: Float[Tensor, "*row latent"]) -> Float[Tensor, "*row"]:
    """Return KL(N(mean, exp(log_var)) ‖ N(0, I)) of each row, in nats.

        KL = 1/2 Σ_d (mean_d² + exp(log_var_d) - 1 - log_var_d)

    A variance counts as at most e⁶⁰, so that its term is finite in float32; see ``zoo.limited``.

    Source: Kingma & Welling 2014, appendix B, arXiv 1312.6114.
    """
    return 0.5 * (mean.square() + limited(log_var).exp() - log_var - 1).sum(dim=-1)
