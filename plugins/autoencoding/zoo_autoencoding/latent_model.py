"""The autoencoder of one input, put together from a posterior and a divergence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from zoo import (
    Batch,
    DataError,
    Graph,
    Input,
    Losses,
    Objective,
    SpecError,
    Tensors,
    decode_graph,
    encode_graph,
    reconstruct_graph,
)
from zoo_autoencoding.divergences import GaussianKL
from zoo_autoencoding.posteriors import Posterior

ACTIVE_VARIANCE = 0.01


class LatentModel(Objective):
    """Encodes one input into a latent and decodes the latent back.

    The loss of a row is the negative log-likelihood of its tensors given a latent drawn from the posterior, plus the
    weighed divergence of the posterior from the prior where there is one. A row without the input is not in the loss.
    """

    needs_decoders: ClassVar[bool] = True

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        posterior: Callable[[int, int], Posterior],
        divergence: GaussianKL | None,
    ) -> None:
        """``posterior`` makes one of a number of features and a number of latent dimensions."""
        super().__init__()
        self.input_name, only = _only(inputs)
        if only.make_decoder is None:
            raise SpecError(f"spec.inputs.{self.input_name}: autoencoding needs a decoder here; add decoder = NAME")
        self.modality = only.modality
        self.encoder = only.make_encoder()
        self.posterior = posterior(self.encoder.feature_dim, latent_dim)
        self.decoder = only.make_decoder(latent_dim)
        self.divergence = divergence

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw the noise of one latent a row."""
        return self.posterior.noise(rows, generator=generator)

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the mean loss of the rows that have the input, and ``reconstruction`` and ``kl`` in nats."""
        present = batch.present[self.input_name]
        parameters = self._posterior_of(batch)
        terms = self._terms(batch, parameters, noise)
        loss = terms["reconstruction"]
        if self.divergence is not None:
            loss = loss + self.divergence.beta * terms["kl"]
        weight = present.to(loss.dtype)
        return Losses(loss.sum() / weight.sum().clamp(min=1), terms, weight)

    @torch.no_grad()
    def metrics(self, batches: Iterable[Batch], *, generator: torch.Generator) -> Mapping[str, float]:
        """Return means over the rows that have the input, with one latent drawn for each.

        ``reconstruction`` (negative log-likelihood), ``kl`` and ``elbo`` (whatever beta is) are in nats a row, the last
        two of models with a divergence. ``active_units`` counts the latent dimensions that vary by more than 0.01
        between rows; source: Burda et al. 2016, section 5.2, arXiv 1509.00519.

        Raises DataError where no row has the input.
        """
        sums: dict[str, float] = {}
        latents = []
        for batch in batches:
            parameters = self._posterior_of(batch)
            terms = self._terms(batch, parameters, self.noise(batch.rows, generator=generator))
            for name, term in terms.items():
                sums[name] = sums.get(name, 0.0) + term.double().sum().item()
            latents.append(parameters["latent"][batch.present[self.input_name]])
        rows = sum(len(latent) for latent in latents)
        if rows == 0:
            raise DataError(f"no held-out row has the input {self.input_name!r}; choose a split where some do")
        found = {name: total / rows for name, total in sums.items()}
        if self.divergence is not None:
            found["elbo"] = -(found["reconstruction"] + found["kl"])
        variance = torch.cat(latents).double().var(dim=0, correction=0)
        return {**found, "active_units": float((variance > ACTIVE_VARIANCE).sum())}

    def graphs(self) -> Iterable[Graph]:
        """Yield the encoder with the posterior's parameters, the decoder, and both in one."""
        name = self.input_name
        yield encode_graph(name, self.modality, self.encoder, self.posterior, self.posterior.tensors)
        yield decode_graph(name, self.decoder)
        yield reconstruct_graph(name, self.modality, self.encoder, self.posterior, self.decoder)

    def _posterior_of(self, batch: Batch) -> Tensors:
        parameters: Tensors = self.posterior(self.encoder(batch.inputs[self.input_name]))
        return parameters

    def _terms(self, batch: Batch, parameters: Tensors, noise: Tensors) -> dict[str, Float[Tensor, " batch"]]:
        present = batch.present[self.input_name]
        likelihood = self.decoder(self.posterior.sample(parameters, noise))
        terms = {"reconstruction": _where(present, -likelihood.log_prob(batch.inputs[self.input_name]))}
        if self.divergence is not None:
            terms["kl"] = _where(present, self.divergence(parameters))
        return terms


def _where(present: Bool[Tensor, " batch"], term: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    return torch.where(present, term, torch.zeros_like(term))


def _only(inputs: Mapping[str, Input]) -> tuple[str, Input]:
    if len(inputs) != 1:
        raise SpecError(
            f"autoencoding takes exactly one input, got {len(inputs)}: {', '.join(inputs) or 'none'}; "
            "keep one of them, or choose an objective of several inputs"
        )
    return next(iter(inputs.items()))
