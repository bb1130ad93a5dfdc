"""The autoencoder of one input, built from a posterior and a divergence."""

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

    With a latent z drawn from the posterior q(z | x), the loss of a row x is, in nats,

        -log p(x | z) + weight * divergence(q(z | x) ‖ p(z))

    without the second term if there is no divergence. If there is a corruption, q reads the damaged input, and the
    likelihood is that of the clean one. A row without the input is not in the loss.
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
        """``posterior`` makes a posterior from the number of features and the number of latent dimensions.

        If there is a divergence, the likelihood of held-out rows is estimated from ``importance_samples`` latents per
        row.
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
        """Draw the noise of one latent per row, and a seed for its corruption."""
        noise = self.posterior.noise(rows, generator=generator)
        return noise if self.corruption is None else {**noise, "corruption": draw_seeds(rows, generator=generator)}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the mean loss of the rows that have the input, and its terms in nats.

        The terms are ``reconstruction``, or ``denoised`` if there is a corruption, and ``kl`` if there is a divergence.
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

        ``reconstruction`` (the negative log-likelihood) is in nats per row. Models with a divergence also have ``kl``,
        ``elbo`` (with beta = 1) and ``nll``, the bound by importance sampling. ``reconstruction_error`` is the mean
        squared difference per value between the mode of the deployed latent and its target, over floating-point
        outputs. With a corruption, ``denoised`` and ``denoised_error`` are the same for damaged inputs.
        ``active_units`` counts the latent dimensions whose mean has a variance above 0.01 between rows; source: Burda
        et al. 2016, section 5.2, arXiv 1509.00519.

        Raises DataError if no row has the input.
        """
        sums: dict[str, float] = {}
        latents = []
        # A separate generator, so that the number of samples changes no other metric.
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
            raise DataError(f"no held-out row has the input {self.input_name!r}; choose a split in which some do")
        found = {name: total / rows for name, total in sums.items()}
        if self.divergence is not None:
            found["elbo"] = -(found["reconstruction"] + found["kl"])
        variance = torch.cat(latents).double().var(dim=0, correction=0)
        return {**found, "active_units": float((variance > ACTIVE_VARIANCE).sum())}

    @torch.no_grad()
    def answer_metrics(self, batches: Iterable[Batch], run: RunsGraphs) -> Mapping[str, float]:
        """Return ``reconstruction_error``, computed from the outputs of the graph ``reconstruct_<input>``."""
        name, total, rows = self.input_name, 0.0, 0
        for batch in batches:
            here = batch.take(batch.present[name].nonzero().squeeze(1))
            error = answer_error(graph_name("reconstruct", name), run, name, here, name, self.decoder)
            if error is None:
                return {}
            total, rows = total + error.double().sum().item(), rows + here.rows
        return {"reconstruction_error": total / rows} if rows else {}

    def graphs(self) -> Iterable[Graph]:
        """Yield the graphs: the encoder with the posterior's parameters, the decoder, and both in one."""
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

        Rows without the input have values, too, but these are meaningless.
        """
        likelihood = self.decoder(self.posterior.sample(parameters, noise))
        terms = {reconstruction: -likelihood.log_prob(batch.inputs[self.input_name])}
        if self.divergence is not None:
            terms["kl"] = self.divergence(parameters)
        return terms

    def _error(
        self, batch: Batch, latent: Float[Tensor, "batch latent"], name: str
    ) -> dict[str, Float[Tensor, " batch"]]:
        """Return the mean squared error per value under ``name``, or nothing if no output is floating-point."""
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
