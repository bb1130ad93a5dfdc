"""DMVAE: a latent that all inputs share, and a private one of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, cast

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor

from zoo import Batch, Decoder, Input, Likelihood, Losses, Tensors, TensorSpec, decode
from zoo_joint.experts import GaussianExperts, all_and_single, products
from zoo_joint.joint_model import Term, any_present, only
from zoo_joint.joint_vae import DensityPosterior, JointVAE
from zoo_joint.mixtures import Gaussians, Mixture


class SharedAndPrivate(DensityPosterior):
    """The shared latent, a product of experts with the prior, followed by the private latent of each input."""

    def __init__(self, feature_dims: Mapping[str, int], shared_dim: int, private_dim: int) -> None:
        super().__init__()
        self.experts = GaussianExperts(feature_dims, shared_dim + private_dim)
        self.shared_dim = shared_dim
        self.register_buffer("subsets", all_and_single(len(feature_dims)), persistent=False)

    def parts(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> tuple[Gaussians, Gaussians]:
        """Return the shared latent given all present inputs, then given each input alone; and each private latent.

        The private latent of an absent input is N(0, I).
        """
        experts, there = self.experts(features, present)
        shared, private = (
            Gaussians(experts.mean[..., part], experts.log_var[..., part])
            for part in (slice(self.shared_dim), slice(self.shared_dim, None))
        )
        return products(shared, there, self.get_buffer("subsets"), prior_expert=True), private

    def mixture(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Mixture:
        """Return the whole latent as the only component: shared part, then private parts in the spec's order."""
        shared, private = self.parts(features, present)
        whole = (
            torch.cat([of_shared[0], *of_private.unbind()], dim=-1).unsqueeze(0)
            for of_shared, of_private in ((shared.mean, private.mean), (shared.log_var, private.log_var))
        )
        return Mixture.of_one(Gaussians(*whole))


class PartOfLatent(Decoder):
    """A decoder that reads two parts of the latent: the first ``shared`` numbers, and the slice ``private``."""

    def __init__(self, decoder: Decoder, latent_dim: int, shared: int, private: slice) -> None:
        super().__init__()
        self.decoder = decoder
        self.latent_dim = latent_dim
        self.shared = shared
        self.private = private
        self.parity_ulps, self.parity_reason = decoder.parity_ulps, decoder.parity_reason  # type: ignore[misc]

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The tensors of the decoder."""
        return self.decoder.tensors

    def forward(self, latent: Float[Tensor, "batch latent"]) -> Likelihood:
        """Return the distribution over values given each latent."""
        own = torch.cat([latent[:, : self.shared], latent[:, self.private]], dim=-1)
        likelihood: Likelihood = self.decoder(own)
        return likelihood


class DMVAE(JointVAE):
    """The disentangled multimodal VAE, with a shared latent and private ones.

    Each input x_i is decoded from the shared latent s and its own private latent p_i of ``private_dim`` numbers. The
    shared posterior q(s | X), given a set X of inputs, is a product of experts with the prior. The loss of a row with
    the inputs X is, in nats,

        L(X) + Σ_i L({x_i})
        L(Y) = Σ_i -E log p(x_i | s, p_i) + beta KL(q(s | Y) ‖ N(0, I)) + private_beta Σ_i KL(q(p_i | x_i) ‖ N(0, I))

    where all inputs of X are decoded from s drawn from q(s | Y). The likelihood of held-out rows is estimated from
    ``importance_samples`` latents per row.

    The deployed latent is one vector: the shared numbers, then the private ones of each input in the spec's order.

    Gaps: an absent input has no expert and is in no term; its private latent is that of the prior. A row with one input
        has only the joint term L(X), since the other term would be the same.

    Source: Lee & Pavlovic 2021, "Private-shared disentangled multimodal VAE for learning of latent representations",
    arXiv 2012.13024.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        private_dim: Annotated[int, Ge(1)] = 4,
        beta: Annotated[float, Ge(0)] = 1.0,
        private_beta: Annotated[float, Ge(0)] = 1.0,
        importance_samples: Annotated[int, Ge(0)] = 0,
    ) -> None:
        whole = latent_dim + len(inputs) * private_dim
        parted = {
            name: replace(place, make_decoder=_parted(place.make_decoder, latent_dim, number, private_dim))
            for number, (name, place) in enumerate(inputs.items())
        }
        super().__init__(parted, whole, "dmvae", importance_samples=importance_samples)
        self.posterior: SharedAndPrivate = SharedAndPrivate(self.feature_dims, latent_dim, private_dim)
        self.private_dim = private_dim
        self.beta = beta
        self.private_beta = private_beta

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw the noise of the shared latents, and of the private latents that belong to each."""
        count, shared = len(self.modalities), self.posterior.shared_dim
        return {
            "shared": torch.randn(rows, 1 + count, shared, generator=generator),
            "private": torch.randn(rows, 1 + count, count, self.private_dim, generator=generator),
        }

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return ``kl``, ``kl_<input>`` (private), ``reconstruction_<input>``; ``alone_<input>`` is a negative ELBO."""
        shared, private = self.posterior.parts(self.features(batch), batch.present)
        kl, latents = shared.kl(), shared.sample(noise["shared"].transpose(0, 1))
        several = torch.stack([*batch.present.values()]).sum(dim=0) > 1
        terms = {"kl": Term(kl[0], any_present(batch), self.beta)}
        alone = self.beta * kl[1:]
        for place, (name, present) in enumerate(batch.present.items()):
            own = Gaussians(private.mean[place], private.log_var[place])
            drawn = own.sample(noise["private"][:, :, place].transpose(0, 1))
            decoder = self._inner(name)
            nats = only(present, -decode(decoder, torch.cat([latents, drawn], dim=-1)).log_prob(batch.inputs[name]))
            kl_own = only(present, own.kl())
            terms[f"kl_{name}"] = Term(kl_own, present, self.private_beta)
            terms[f"reconstruction_{name}"] = Term(nats[0], present)
            alone = alone + nats[1:] + self.private_beta * kl_own
        for place, (name, present) in enumerate(batch.present.items()):
            terms[f"alone_{name}"] = Term(alone[place], present & several)
        return self.losses_of(terms, any_present(batch))

    def _inner(self, name: str) -> Decoder:
        return cast(PartOfLatent, self.decoders[name]).decoder


def _parted(
    make: Callable[[int], Decoder] | None, shared: int, number: int, private_dim: int
) -> Callable[[int], Decoder] | None:
    """Return a function that makes the decoder of the input ``number`` for the whole latent."""
    if make is None:
        return None
    start = shared + number * private_dim

    def parted(latent_dim: int) -> Decoder:
        return PartOfLatent(make(shared + private_dim), latent_dim, shared, slice(start, start + private_dim))

    return parted
