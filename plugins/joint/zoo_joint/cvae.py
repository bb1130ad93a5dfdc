"""CVAE: one input generated under the condition of all others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor, nn
from zoo_autoencoding import GaussianPosterior

from zoo import Batch, Input, Losses, SpecError, Tensors
from zoo_joint.joint_model import Concatenation, JointModel, JointPosterior, Term
from zoo_joint.mixtures import Gaussians
from zoo_joint.subset_metrics import Measured


class ConditionalPosterior(JointPosterior):
    """A code of the conditions, a prior given the code, and a posterior given the code and the target."""

    def __init__(
        self, feature_dims: Mapping[str, int], target: str, latent_dim: int, code_dim: int, hidden: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.target = target
        self.joined = Concatenation({name: size for name, size in feature_dims.items() if name != target}, hidden)
        self.code = nn.Linear(self.joined.feature_dim, code_dim)
        self.prior = GaussianPosterior(code_dim, latent_dim)
        self.recognition = GaussianPosterior(feature_dims[target] + code_dim, latent_dim)

    def parts(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[Tensor, Gaussians, Gaussians]:
        """Return the code, the prior, and the posterior; in rows that lack the target, the posterior is the prior."""
        code = self.code(self.joined(features, present))
        prior = self.prior(code)
        found = prior
        if self.target in features:
            there = present[self.target].unsqueeze(-1)
            known = self.recognition(torch.cat([features[self.target], code], dim=-1))
            found = {key: torch.where(there, known[key], prior[key]) for key in ("mean", "log_var")}
        return code, *(Gaussians(one["mean"].unsqueeze(0), one["log_var"].unsqueeze(0)) for one in (prior, found))

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Return the latent: the mean of the posterior, then the code."""
        code, _, posterior = self.parts(features, present)
        return {"latent": torch.cat([posterior.mean[0], code], dim=-1)}


class CVAE(JointModel):
    """The conditional VAE: ``target``, the first input by default, is generated given all other inputs.

    Layers of ``hidden`` units join the conditions into a code c of ``condition_dim`` numbers. The loss of a row, in
    nats, with x the target, is

        -E_q log p(x | z, c) + beta KL(q(z | x, c) ‖ p(z | c))

    The prior p(z | c) is learnt. The deployed latent is z followed by c; without the target, z is the prior's mean. The
    likelihood of held-out targets is estimated from ``importance_samples`` latents drawn from the prior.

    Gaps: a missing condition enters the code as zeros and a flag. A row that lacks the target contributes nothing.

    Source: Sohn, Lee & Yan 2015, "Learning structured output representation using deep conditional generative models",
    NeurIPS 28, eq. 4.
    """

    needs_decoders: ClassVar[bool] = False

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        target: str = "",
        condition_dim: Annotated[int, Ge(1)] = 16,
        hidden: tuple[Annotated[int, Ge(1)], ...] = (128,),
        beta: Annotated[float, Ge(0)] = 1.0,
        importance_samples: Annotated[int, Ge(0)] = 0,
    ) -> None:
        chosen = target or next(iter(inputs), "")
        if inputs and chosen not in inputs:
            raise SpecError(f"the option 'target' is the input to generate, one of {', '.join(inputs)}, got {target!r}")
        super().__init__(
            inputs, latent_dim + condition_dim, "cvae", decoded=[chosen], importance_samples=importance_samples
        )
        self.target = chosen
        self.posterior: ConditionalPosterior = ConditionalPosterior(
            self.feature_dims, chosen, latent_dim, condition_dim, hidden
        )
        self.beta = beta
        self.z_dim = latent_dim

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw the noise of z."""
        return {"latent": torch.randn(rows, self.z_dim, generator=generator)}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the terms ``reconstruction_<target>`` and ``kl`` in nats."""
        code, prior, posterior = self.posterior.parts(self.features(batch), batch.present)
        latent = torch.cat([posterior.sample(noise["latent"].unsqueeze(0))[0], code], dim=-1)
        rows = batch.present[self.target]
        terms = {"kl": Term(posterior.kl_to(prior)[0], rows, self.beta), **self.reconstructions(latent, batch)}
        return self.losses_of(terms, rows)

    def measured(
        self, given: Mapping[str, Tensor], batch: Batch, *, samples: int, generator: torch.Generator
    ) -> Iterator[Measured]:
        """Yield the metrics of every joint model for the target, and ``conditional_nll`` given only conditions."""
        yield from super().measured(given, batch, samples=samples, generator=generator)
        if self.target in given or not samples:
            return
        code, prior, _ = self.posterior.parts(given, batch.present)
        scores = []
        for _ in range(samples):
            noise = torch.randn(prior.mean.shape, generator=generator)
            latent = torch.cat([prior.sample(noise)[0], code], dim=-1)
            nats = {self.target: self.nats(self.target, latent, batch)}
            scores += list(self.scored(given, batch, nats, ("nll", "conditional_nll")))
        bound = torch.stack([-one.values for one in scores]).logsumexp(dim=0) - math.log(samples)
        yield Measured("conditional_nll", -bound, scores[0].rows)
