"""The contracts that are torch modules: encoders, decoders, objectives, and what passes between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from zoo.protocols import Graph, Modality, TensorSpec

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """Rows of a model's inputs.

    ``inputs`` holds the tensors of each input; ``present`` says, per input, which rows have it. A missing value is
    a row of zeros whose ``present`` is false.
    """

    inputs: Mapping[str, Tensors]
    present: Mapping[str, Bool[Tensor, " batch"]]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(next(iter(self.present.values())).shape[0])

    def take(self, index: Tensor) -> Batch:
        """Return the rows at ``index``, in that order."""
        return self._map(lambda tensor: tensor.index_select(0, index))

    def to(self, device: torch.device) -> Batch:
        """Return the batch on ``device``."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def with_clean_gaps(self) -> Batch:
        """Return the batch with every tensor of a missing slot set to zero, whatever stood there."""
        cleaned = {
            name: tensors
            if bool(self.present[name].all())
            else {key: zeros_where_absent(tensor, self.present[name]) for key, tensor in tensors.items()}
            for name, tensors in self.inputs.items()
        }
        return Batch(cleaned, self.present)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            {name: {key: function(tensor) for key, tensor in tensors.items()} for name, tensors in self.inputs.items()},
            {name: function(tensor) for name, tensor in self.present.items()},
        )


def zeros_where_absent(tensor: Tensor, present: Bool[Tensor, " batch"]) -> Tensor:
    """Return a tensor with zeros in the rows that are not present, whatever stands there."""
    there = present.reshape(-1, *(1 for _ in tensor.shape[1:]))
    # onnxruntime has no Where of booleans on the CPU.
    return tensor & there if tensor.dtype == torch.bool else torch.where(there, tensor, torch.zeros_like(tensor))


class Encoder(nn.Module, ABC):
    """From a modality's tensors to features.

    Built as ``Encoder(modality, **options)``. Rows never see each other, and an all-zero row gives finite features.
    ``parity_ulps`` is how far an exported row may lie from float64, in units of 2**-23 of the row's largest value; a
    number other than 16 needs its reason in ``parity_reason``.
    """

    parity_ulps: ClassVar[int] = 16
    parity_reason: ClassVar[str] = ""
    feature_dim: int

    @abstractmethod
    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return one row of features a row of input."""


class Front(nn.Module, ABC):
    """From raw values as numbers to a modality's tensors, inside a graph.

    Built as ``Front(modality)`` for a fitted modality that is a ``TakesRaw`` with ``raw_tensors``. It has no weights;
    its tables are buffers with ``persistent=False``.
    """

    @abstractmethod
    def forward(self, tensors: Tensors) -> Tensors:
        """Return the modality's tensors for its ``raw_tensors``, padded as far as it likes."""


@runtime_checkable
class Likelihood(Protocol):
    """A distribution over a modality's tensors, one a row."""

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the log-likelihood of each row, in nats, summed over the row."""

    def mode(self) -> Tensors:
        """Return the most probable tensors, differentiable where the kind of data allows."""

    def target(self, tensors: Tensors) -> Tensors:
        """Return what ``mode`` is compared with: ``tensors`` by the names, shapes and units of the mode.

        It follows from the tensors alone, and is the same for every latent: it hangs on no parameter of the
        distribution.
        """

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw from each row's distribution."""


@runtime_checkable
class ScoresRepeatedly(Protocol):
    """What a likelihood may also offer: several latents of each row are scored without copies of the row's tensors."""

    def repeated_log_prob(self, tensors: Tensors, times: int) -> Float[Tensor, "times batch"]:
        """Return the log-likelihoods of a likelihood whose rows are those of ``tensors``, ``times`` times over."""


class Decoder(nn.Module, ABC):
    """From a latent to a distribution over the modality's tensors.

    Built as ``Decoder(modality, latent_dim, **options)``. ``parity_ulps`` and its reason are as an encoder's.
    """

    parity_ulps: ClassVar[int] = 16
    parity_reason: ClassVar[str] = ""
    latent_dim: int

    @property
    @abstractmethod
    def tensors(self) -> Mapping[str, TensorSpec]:
        """What ``mode`` of the likelihood returns; it may differ from what the encoder reads."""

    @abstractmethod
    def forward(self, latent: Float[Tensor, "batch latent"]) -> Likelihood:
        """Return the distribution that each latent stands for."""


@dataclass(frozen=True)
class Input:
    """One named place of a model, as an objective sees it."""

    modality: Modality
    make_encoder: Callable[[], Encoder]
    make_decoder: Callable[[int], Decoder] | None


@dataclass(frozen=True)
class Losses:
    """What a step minimises, and the terms that it is made of, a value a row, for the log.

    ``weight`` says which rows count in the loss. ``rows`` names the rows that a term concerns; a term that it does not
    name concerns all rows that count. A term is zero in every other row.
    """

    loss: Float[Tensor, ""]
    terms: Mapping[str, Float[Tensor, " batch"]]
    weight: Float[Tensor, " batch"]
    rows: Mapping[str, Bool[Tensor, " batch"]] = field(default_factory=dict)

    @classmethod
    def over(
        cls,
        rows: Bool[Tensor, " batch"],
        terms: Mapping[str, Float[Tensor, " batch"]],
        weights: Mapping[str, float] | None = None,
        *,
        concerned: Mapping[str, Bool[Tensor, " batch"]] | None = None,
    ) -> Losses:
        """Return the mean over ``rows`` of the weighed sum of all terms as the loss; zero if there are no such rows.

        A term that ``weights`` does not name counts once. ``concerned`` names the rows of terms that concern fewer
        than ``rows``. Whatever a term holds in other rows, NaN too, counts for nothing.
        """
        concerned = {name: of_term & rows for name, of_term in (concerned or {}).items()}
        kept = {name: zeros_where_absent(term, concerned.get(name, rows)) for name, term in terms.items()}
        total = torch.stack([(weights or {}).get(name, 1.0) * term for name, term in kept.items()]).sum()
        weight = rows.to(total.dtype)
        return cls(_mean(total, weight), kept, weight, concerned)

    @classmethod
    def of_means(
        cls, terms: Mapping[str, Float[Tensor, " batch"]], rows: Mapping[str, Bool[Tensor, " batch"]]
    ) -> Losses:
        """Return the sum of the means of all terms as the loss, each mean over the rows that the term concerns.

        A row that any term concerns counts. The objective offers ``CountsByTerm``, with the same ``rows``.
        """
        kept = {name: zeros_where_absent(term, rows[name]) for name, term in terms.items()}
        means = [_mean(term, rows[name]) for name, term in kept.items()]
        loss = torch.stack(means).sum()
        return cls(loss, kept, torch.stack([*rows.values()]).any(dim=0).to(loss.dtype), rows)

    def means(self) -> Mapping[str, Float[Tensor, ""]]:
        """Return each term's mean over the rows that it concerns, zero if there are none."""
        return {name: _mean(term, self.rows_of(name)) for name, term in self.terms.items()}

    def counts(self) -> Mapping[str, Int64[Tensor, ""]]:
        """Return how many rows contribute to each term."""
        return {name: (self.rows_of(name) != 0).sum() for name in self.terms}

    def rows_of(self, name: str) -> Tensor:
        """Return which rows a term concerns."""
        return self.rows.get(name, self.weight)


def _mean(term: Float[Tensor, "*batch"], rows: Tensor) -> Float[Tensor, ""]:
    return term.sum() / rows.sum().clamp(min=1)


class Objective(nn.Module, ABC):
    """Turns features into a latent and losses, and says which functions of the model can be deployed.

    Built as ``Objective(inputs, latent_dim, **options)``; it owns as many encoders and decoders as it wants. All of its
    randomness comes in through ``noise``, so that a step is a function of its arguments. ``fewest_inputs`` is how many
    a row needs to be learnt from.
    """

    needs_decoders: ClassVar[bool] = False
    compares_rows: ClassVar[bool] = False
    fewest_inputs: ClassVar[int] = 1

    @abstractmethod
    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw all that ``losses`` needs of chance; the first axis of each tensor is the row."""

    def players(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """Return the parameters that each player minimises over; one player, unless the objective is adversarial."""
        return {"model": [parameter for parameter in self.parameters() if parameter.requires_grad]}

    @torch.no_grad()
    def keep_bounds(self) -> None:
        """Bring parameters that left their bounds back to them, in place; by default none has bounds.

        Training calls it before the first step and after each step of an optimiser. A bound inside ``losses`` instead
        would let the parameter run on beyond it, and stay there for as many steps when its gradient turns.
        """

    def forward(self, batch: Batch, noise: Tensors, player: str) -> Losses:
        """Return the losses of a batch, whatever stands in its gaps."""
        return self.losses(batch.with_clean_gaps(), noise, player=player)

    @abstractmethod
    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the loss of one player and its terms. A missing value contributes nothing."""

    @abstractmethod
    def metrics(self, batches: Iterable[Batch], *, generator: torch.Generator) -> Mapping[str, float]:
        """Measure the model on held-out batches."""

    @abstractmethod
    def graphs(self) -> Iterable[Graph]:
        """Yield the functions that can be deployed."""


# Runs a deployed graph, by its name, on tensors named as its inputs; returns its outputs by name.
RunsGraphs = Callable[[str, Tensors], Tensors]


@runtime_checkable
class MeasuresAnswers(Protocol):
    """What an objective may also offer: its metrics by what deployed graphs answer, wherever these run."""

    def answer_metrics(self, batches: Iterable[Batch], run: RunsGraphs) -> Mapping[str, float]:
        """Return metrics of held-out batches that follow from the graphs' answers alone."""


@runtime_checkable
class CountsByTerm(Protocol):
    """What an objective may also offer: its loss is the sum of its terms' means, each over rows of its own.

    Its ``losses`` are ``Losses.of_means``. A batch that is taken in parts then has the gradient of the whole.
    """

    def counted(self, batch: Batch, *, player: str) -> Mapping[str, Bool[Tensor, " batch"]]:
        """Return the rows that each term is a mean of, from what is present alone."""
