"""The autoencoder of one input, put together from a posterior and a divergence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from zoo import (
    Batch,
    DataError,
    Graph,
    Input,
    Losses,
    Modality,
    Objective,
    RunsGraphs,
    SpecError,
    Tensors,
    decode_graph,
    encode_graph,
    graph_name,
    reconstruct_graph,
)
from zoo_autoencoding.corruption import Corruption
from zoo_autoencoding.divergences import GaussianKL
from zoo_autoencoding.errors_of_modes import answer_error, squared_error
from zoo_autoencoding.importance import importance_sampled_nll
from zoo_autoencoding.posteriors import Posterior
from zoo_autoencoding.random_numbers import draw_seeds

ACTIVE_VARIANCE = 0.01


class LatentModel(Objective):
    """Encodes one input into a latent and decodes the latent back.

    The loss of a row is the negative log-likelihood of its tensors given a latent drawn from the posterior, plus the
    weighed divergence of the posterior from the prior where there is one. Where there is a corruption, the posterior is
    that of the damaged input, and the likelihood that of the clean one. A row without the input is not in the loss.
    """

    needs_decoders: ClassVar[bool] = True

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        posterior: Callable[[int, int], Posterior],
        divergence: GaussianKL | None,
        corruption: Callable[[Modality], Corruption] | None = None,
        importance_samples: int = 0,
    ) -> None:
        """``posterior`` makes one of a number of features and a number of latent dimensions.

        ``importance_samples`` latents a row estimate the likelihood of held-out rows, where there is a divergence.
        """
        super().__init__()
        self.input_name, only = _only(inputs)
        if only.make_decoder is None:
            raise SpecError(f"spec.inputs.{self.input_name}: autoencoding needs a decoder here; add decoder = NAME")
        self.modality = only.modality
        self.encoder = only.make_encoder()
        self.posterior = posterior(self.encoder.feature_dim, latent_dim)
        self.decoder = only.make_decoder(latent_dim)
        self.divergence = divergence
        self.corruption = None if corruption is None else corruption(only.modality)
        self.importance_samples = importance_samples

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw the noise of one latent a row, and a seed for its corruption."""
        noise = self.posterior.noise(rows, generator=generator)
        return noise if self.corruption is None else {**noise, "corruption": draw_seeds(rows, generator=generator)}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the mean loss of the rows that have the input, and its terms in nats.

        They are ``reconstruction``, or ``denoised`` with a corruption, and ``kl`` with a divergence.
        """
        tensors, name = batch.inputs[self.input_name], "reconstruction"
        if self.corruption is not None:
            tensors, name = self.corruption(tensors, noise["corruption"]), "denoised"
        terms = self._terms(batch, self._posterior_of(tensors), noise, name)
        weights = {} if self.divergence is None else {"kl": self.divergence.beta}
        return Losses.over(batch.present[self.input_name], terms, weights)

    @torch.no_grad()
    def metrics(self, batches: Iterable[Batch], *, generator: torch.Generator) -> Mapping[str, float]:
        """Return means over the rows that have the input, with one latent drawn for each.

        ``reconstruction`` (negative log-likelihood), ``kl`` and ``elbo`` (whatever beta is) are in nats a row, the last
        two of models with a divergence, as is ``nll``, the bound of importance sampling. ``reconstruction_error`` is
        the mean squared difference a value between the mode of the deployed latent and what it is compared with, of
        outputs that are numbers. With a corruption, ``denoised`` and ``denoised_error`` are the same of damaged inputs.
        ``active_units`` counts the latent dimensions that vary by more than 0.01 between rows; source: Burda et al.
        2016, section 5.2, arXiv 1509.00519.

        Raises DataError where no row has the input.
        """
        sums: dict[str, float] = {}
        latents = []
        # Apart from the other noise, so that the number of samples changes no other metric.
        importance = torch.Generator(generator.device).manual_seed(generator.initial_seed() + 1)
        for batch in batches:
            clean, present = batch.inputs[self.input_name], batch.present[self.input_name]
            parameters = self._posterior_of(clean)
            noise = self.noise(batch.rows, generator=generator)
            terms = self._terms(batch, parameters, noise, "reconstruction")
            terms |= self._error(batch, parameters["latent"], "reconstruction_error")
            if self.divergence is not None and self.importance_samples:
                terms["nll"] = importance_sampled_nll(
                    self.decoder, parameters, clean, samples=self.importance_samples, generator=importance
                )
            if self.corruption is not None:
                damaged = self._posterior_of(self.corruption(clean, noise["corruption"]))
                terms["denoised"] = self._terms(batch, damaged, noise, "denoised")["denoised"]
                terms |= self._error(batch, damaged["latent"], "denoised_error")
            for name, term in terms.items():
                sums[name] = sums.get(name, 0.0) + term[present].double().sum().item()
            latents.append(parameters["latent"][present])
        rows = sum(len(latent) for latent in latents)
        if rows == 0:
            raise DataError(f"no held-out row has the input {self.input_name!r}; choose a split where some do")
        found = {name: total / rows for name, total in sums.items()}
        if self.divergence is not None:
            found["elbo"] = -(found["reconstruction"] + found["kl"])
        variance = torch.cat(latents).double().var(dim=0, correction=0)
        return {**found, "active_units": float((variance > ACTIVE_VARIANCE).sum())}

    @torch.no_grad()
    def answer_metrics(self, batches: Iterable[Batch], run: RunsGraphs) -> Mapping[str, float]:
        """Return ``reconstruction_error`` by what the graph ``reconstruct_<input>`` gives."""
        name, total, rows = self.input_name, 0.0, 0
        for batch in batches:
            here = batch.take(batch.present[name].nonzero().squeeze(1))
            error = answer_error(graph_name("reconstruct", name), run, name, here, name, self.decoder)
            if error is None:
                return {}
            total, rows = total + error.double().sum().item(), rows + here.rows
        return {"reconstruction_error": total / rows} if rows else {}

    def graphs(self) -> Iterable[Graph]:
        """Yield the encoder with the posterior's parameters, the decoder, and both in one."""
        name = self.input_name
        encode = encode_graph(name, self.modality, self.encoder, self.posterior, self.posterior.tensors)
        decode = decode_graph(name, self.decoder)
        yield from (encode, decode, reconstruct_graph(name, encode, decode))

    def _posterior_of(self, tensors: Tensors) -> Tensors:
        parameters: Tensors = self.posterior(self.encoder(tensors))
        return parameters

    def _terms(
        self, batch: Batch, parameters: Tensors, noise: Tensors, reconstruction: str
    ) -> dict[str, Float[Tensor, " batch"]]:
        """Return the negative log-likelihood of the clean input, under the name ``reconstruction``, and ``kl``.

        Rows without the input have values, too; they mean nothing.
        """
        likelihood = self.decoder(self.posterior.sample(parameters, noise))
        terms = {reconstruction: -likelihood.log_prob(batch.inputs[self.input_name])}
        if self.divergence is not None:
            terms["kl"] = self.divergence(parameters)
        return terms

    def _error(
        self, batch: Batch, latent: Float[Tensor, "batch latent"], name: str
    ) -> dict[str, Float[Tensor, " batch"]]:
        """Return the mean squared error a value under ``name``, or nothing where no output is a number."""
        likelihood = self.decoder(latent)
        error = squared_error(likelihood.mode(), likelihood.target(batch.inputs[self.input_name]))
        return {} if error is None else {name: error}


def _only(inputs: Mapping[str, Input]) -> tuple[str, Input]:
    if len(inputs) != 1:
        raise SpecError(
            f"autoencoding takes exactly one input, got {len(inputs)}: {', '.join(inputs) or 'none'}; "
            "keep one of them, or choose an objective of several inputs"
        )
    return next(iter(inputs.items()))
