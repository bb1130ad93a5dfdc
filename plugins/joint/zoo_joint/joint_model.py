"""The common part of all joint models: several inputs, one latent, one decoder per input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from typing import ClassVar, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from zoo_autoencoding import answer_error

from zoo import (
    Batch,
    Decoder,
    Encoder,
    Graph,
    Input,
    Losses,
    Objective,
    RunsGraphs,
    SpecError,
    Tensors,
    TensorSpec,
    decode_graph,
    embed_graph,
    encode_graph,
    graph_name,
    translate_graph,
    translation_name,
)
from zoo_joint.subset_metrics import Measured, SubsetMeans

LIKELIHOOD_ROWS = 512


@dataclass(frozen=True)
class Term:
    """One value per row, the rows that the term concerns, and its weight in the loss."""

    values: Float[Tensor, " batch"]
    rows: Bool[Tensor, " batch"]
    weight: float = 1.0


class JointPosterior(nn.Module, ABC):
    """From the features of the present inputs to one latent."""

    outputs: ClassVar[tuple[str, ...]] = ("latent",)

    @abstractmethod
    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Return the deployed ``latent``, batch x latent.

        ``features`` may lack an input, which is then absent in every row. A row without any input gets a finite latent.
        """

    def alone(self, name: str, features: Float[Tensor, "batch feature"]) -> Tensors:
        """Return the same if every row has this input alone; the graph ``encode_<input>`` computes it."""
        there: Bool[Tensor, " batch"] = torch.ones_like(features[:, 0], dtype=torch.bool)
        outputs: Tensors = self({name: features}, {name: there})
        return outputs


class JointModel(Objective, ABC):
    """Encodes each input, joins the present ones into one latent, and decodes inputs from it.

    The loss of a row is a sum of terms; the loss of a batch is its mean over the rows that count. The log shows each
    term's mean over the rows that it concerns: for ``reconstruction_<input>``, the rows that have this input.
    """

    needs_decoders: ClassVar[bool] = True

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        name: str,
        *,
        decoded: Sequence[str] | None = None,
        importance_samples: int = 0,
    ) -> None:
        """``name`` is the objective's name, for messages; ``decoded`` are the inputs to decode, all of them by default.

        ``latent_dim`` is the size of the deployed latent. The likelihood of held-out rows, if the model has one, is
        estimated from ``importance_samples`` latents per row. A subclass sets ``posterior``.
        """
        super().__init__()
        self.importance_samples = importance_samples
        if len(inputs) < 2:
            raise SpecError(
                f"the objective {name!r} joins inputs and needs at least two, got {', '.join(inputs) or 'none'}; "
                "add another table spec.inputs.NAME"
            )
        self.latent_dim = latent_dim
        self.modalities = {key: place.modality for key, place in inputs.items()}
        self.encoders = nn.ModuleDict({key: place.make_encoder() for key, place in inputs.items()})
        self.decoders = nn.ModuleDict()
        for key in inputs if decoded is None else decoded:
            make = inputs[key].make_decoder
            if make is None:
                raise SpecError(f"spec.inputs.{key}: {name!r} decodes this input; add decoder = NAME")
            self.decoders[key] = make(latent_dim)
        self.posterior: JointPosterior

    @property
    def feature_dims(self) -> dict[str, int]:
        """The number of features of each input."""
        return {name: self._encoder(name).feature_dim for name in self.modalities}

    def features(self, batch: Batch) -> dict[str, Tensor]:
        """Return the features of each input."""
        return {name: encoder(batch.inputs[name]) for name, encoder in self.encoders.items()}

    @torch.no_grad()
    def metrics(self, batches: Iterable[Batch], *, generator: torch.Generator) -> Mapping[str, float]:
        """Return the results of ``measured`` as means over rows, for each subset of the inputs; see ``zoo.by_subset``.

        Likelihoods are those of the first 512 rows. Raises DataError if no row has any input.
        """
        means = SubsetMeans(tuple(self.modalities))
        rows = 0
        for batch in batches:
            features = self.features(batch)
            samples = self.importance_samples if rows < LIKELIHOOD_ROWS else 0
            for subset in means.subsets:
                given = {name: features[name] for name in subset}
                means.add(subset, self.measured(given, batch, samples=samples, generator=generator))
            rows += batch.rows
        return means.found()

    @torch.no_grad()
    def answer_metrics(self, batches: Iterable[Batch], run: RunsGraphs) -> Mapping[str, float]:
        """Return ``a_to_b.error`` of each translation: the mean squared difference from ``b``, over rows with both.

        Outputs that are not floating-point, such as ids, are not measured.
        """
        sums: dict[str, float] = {}
        rows: dict[str, int] = {}
        pairs = [pair for pair in permutations(self.modalities, 2) if pair[1] in self.decoders]
        for batch in batches:
            for source, target in pairs:
                both = batch.take((batch.present[source] & batch.present[target]).nonzero().squeeze(1))
                graph = graph_name("translate", source, target)
                error = answer_error(graph, run, source, both, target, self._decoder(target))
                if error is not None:
                    name = f"{translation_name(source, target)}.error"
                    sums[name] = sums.get(name, 0.0) + error.double().sum().item()
                    rows[name] = rows.get(name, 0) + both.rows
        return {name: total / rows[name] for name, total in sums.items() if rows[name]}

    def measured(
        self, given: Mapping[str, Tensor], batch: Batch, *, samples: int, generator: torch.Generator
    ) -> Iterator[Measured]:
        """Yield the measurements of rows of which the inputs ``given`` are known, by their features.

        They are negative log-likelihoods in nats at the deployed latent: ``reconstruction`` of the given inputs, for
        rows that have them, and ``translation`` of all other inputs together, for complete rows. If the model has a
        density, likelihoods are estimated from ``samples`` latents per row; with 0 they are left out.
        """
        latent = self.posterior(given, batch.present)["latent"]
        yield from self.scored(given, batch, {name: self.nats(name, latent, batch) for name in self.decoders})

    def scored(
        self,
        given: Iterable[str],
        batch: Batch,
        nats: Mapping[str, Tensor],
        names: tuple[str, str] = ("reconstruction", "translation"),
    ) -> Iterator[Measured]:
        """Yield the sum of the nats of the given inputs, and the sum of those of the others, each under its name."""
        sides = {name: [key for key in nats if (key in given) == (name == names[0])] for name in names}
        for name, keys in sides.items():
            if keys:
                needed = set(given) | set(keys)
                rows = torch.stack([batch.present[key] for key in needed]).all(dim=0)
                yield Measured(name, torch.stack([nats[key] for key in keys]).sum(dim=0), rows)

    def graphs(self) -> Iterable[Graph]:
        """Yield ``encode_<input>``, ``decode_<input>``, ``translate_<a>_to_<b>``, and ``embed`` of all inputs."""
        outputs = {
            name: TensorSpec("float32", ("batch", self.latent_dim), logarithm=name == "log_var")
            for name in self.posterior.outputs
        }
        encode = {
            name: encode_graph(name, modality, self._encoder(name), _Alone(self.posterior, name), outputs)
            for name, modality in self.modalities.items()
        }
        decode = {name: decode_graph(name, self._decoder(name)) for name in self.decoders}
        yield from (*encode.values(), *decode.values())
        for source, target in permutations(self.modalities, 2):
            if target in decode:
                yield translate_graph(source, target, encode[source], decode[target])
        yield embed_graph(
            self.modalities, {name: self._encoder(name) for name in self.modalities}, self.posterior, outputs
        )

    def nats(self, name: str, latent: Float[Tensor, "batch latent"], batch: Batch) -> Float[Tensor, " batch"]:
        """Return the negative log-likelihood of an input given a latent, also in rows that lack it."""
        scores: Tensor = self.decoders[name](latent).log_prob(batch.inputs[name])
        return -scores

    def losses_of(self, terms: Mapping[str, Term], rows: Bool[Tensor, " batch"]) -> Losses:
        """Return the loss: the weighted sum of ``terms``, averaged over the rows that count."""
        return Losses.over(
            rows,
            {name: term.values for name, term in terms.items()},
            {name: term.weight for name, term in terms.items()},
            concerned={name: term.rows for name, term in terms.items()},
        )

    def reconstructions(
        self, latent: Float[Tensor, "batch latent"], batch: Batch, weight: float = 1.0
    ) -> dict[str, Term]:
        """Return ``reconstruction_<input>``: the nats of each input given a latent, for the rows that have it."""
        return {
            f"reconstruction_{name}": Term(self.nats(name, latent, batch), batch.present[name], weight)
            for name in self.decoders
        }

    def _encoder(self, name: str) -> Encoder:
        return cast(Encoder, self.encoders[name])

    def _decoder(self, name: str) -> Decoder:
        return cast(Decoder, self.decoders[name])


class _Alone(nn.Module):
    """The posterior of one input alone, as the head of a graph."""

    def __init__(self, posterior: JointPosterior, name: str) -> None:
        super().__init__()
        self.posterior = posterior
        self.name = name

    def forward(self, features: Float[Tensor, "batch feature"]) -> Tensors:
        """Return the outputs of the posterior by name."""
        return self.posterior.alone(self.name, features)


class Concatenation(nn.Module):
    """Layers with ReLU on the concatenated features of all inputs, zeros for an absent one, and one flag per input."""

    def __init__(self, feature_dims: Mapping[str, int], hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.feature_dims = dict(feature_dims)
        sizes = (sum(feature_dims.values()) + len(feature_dims), *hidden)
        self.layers = nn.Sequential(*(nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(sizes)))
        self.feature_dim = sizes[-1]

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Float[Tensor, "batch feature"]:
        """Return the last layer; ``features`` may lack inputs, which are then absent in every row."""
        some = next(iter(features.values()))
        parts: list[Tensor] = []
        for name, size in self.feature_dims.items():
            if name in features:
                there = present[name].unsqueeze(-1)
                parts += [torch.where(there, features[name], torch.zeros_like(features[name])), there.to(some.dtype)]
            else:
                parts.append(some.new_zeros(some.shape[0], size + 1))
        joined: Tensor = self.layers(torch.cat(parts, dim=-1))
        return joined


def only(rows: Bool[Tensor, "*row"], term: Float[Tensor, "*leading"]) -> Float[Tensor, "*leading"]:
    """Return a term with zeros in the rows that do not count; it may have axes in front of those of ``rows``."""
    return torch.where(rows, term, torch.zeros_like(term))


def any_present(batch: Batch) -> Bool[Tensor, " batch"]:
    """Return the rows that have any input."""
    return torch.stack([*batch.present.values()]).any(dim=0)
