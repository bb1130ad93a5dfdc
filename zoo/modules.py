"""The contracts that are torch modules: encoders, decoders, objectives, and what passes between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from zoo.protocols import Graph, Modality, TensorSpec

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """Rows of a model's inputs.

    ``inputs`` holds the tensors of each input. ``present`` says, per input, which rows have it. A missing value is a
    row of zeros whose ``present`` is false; this is called a *gap*. ``groups`` says, per input, which rows were made
    from equal values, such as the same file: these have the same number. An input without equal values has no groups.
    """

    inputs: Mapping[str, Tensors]
    present: Mapping[str, Bool[Tensor, " batch"]]
    groups: Mapping[str, Int64[Tensor, " batch"]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<batch of {self.rows} rows: {', '.join(self.inputs)}>"

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
        """Return the batch with all tensors of missing values set to zero, whatever they held."""
        cleaned = {
            name: tensors
            if bool(self.present[name].all())
            else {key: zeros_where_absent(tensor, self.present[name]) for key, tensor in tensors.items()}
            for name, tensors in self.inputs.items()
        }
        return replace(self, inputs=cleaned)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            {name: {key: function(tensor) for key, tensor in tensors.items()} for name, tensors in self.inputs.items()},
            {name: function(tensor) for name, tensor in self.present.items()},
            {name: function(tensor) for name, tensor in self.groups.items()},
        )


def zeros_where_absent(tensor: Tensor, present: Bool[Tensor, " batch"]) -> Tensor:
    """Return a tensor with zeros in the rows that are not present, whatever they held."""
    there = present.reshape(-1, *(1 for _ in tensor.shape[1:]))
    # onnxruntime has no Where of booleans on the CPU.
    return tensor & there if tensor.dtype == torch.bool else torch.where(there, tensor, torch.zeros_like(tensor))


class Encoder(nn.Module, ABC):
    """Turns a modality's tensors into features.

    Built as ``Encoder(modality, **options)``. Rows never influence each other, and an all-zero row gives finite
    features. ``parity_ulps`` is how far an exported row may lie from the float64 result, in units of 2**-23 of the
    row's largest value. A number other than 16 needs a reason in ``parity_reason``.
    """

    parity_ulps: ClassVar[int] = 16
    parity_reason: ClassVar[str] = ""
    feature_dim: int

    @abstractmethod
    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return one row of features per row of input."""


class Front(nn.Module, ABC):
    """Turns raw values, given as numbers, into a modality's tensors inside a graph.

    With a front in it, an exported graph reads raw values, such as the bytes of a text, instead of prepared tensors.
    Built as ``Front(modality)`` for a fitted modality that is a ``TakesRaw`` with ``raw_tensors``. It has no weights;
    its tables are buffers with ``persistent=False``.
    """

    @abstractmethod
    def forward(self, tensors: Tensors) -> Tensors:
        """Return the modality's tensors for its ``raw_tensors``; they may be padded to any length."""


@runtime_checkable
class Likelihood(Protocol):
    """A distribution over a modality's tensors, one per row."""

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the log-likelihood of each row, in nats, summed over the row."""

    def mode(self) -> Tensors:
        """Return the most probable tensors, differentiable if the kind of data allows it."""

    def target(self, tensors: Tensors) -> Tensors:
        """Return the tensors that ``mode`` is compared with: ``tensors`` in the names, shapes and units of the mode.

        The result depends on ``tensors`` alone, not on the latent: no parameter of the distribution enters it.
        """

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw from each row's distribution."""


class Decoder(nn.Module, ABC):
    """Turns a latent into a distribution over the modality's tensors.

    Built as ``Decoder(modality, latent_dim, **options)``. ``parity_ulps`` and its reason are as an encoder's.
    """

    parity_ulps: ClassVar[int] = 16
    parity_reason: ClassVar[str] = ""
    latent_dim: int

    @property
    @abstractmethod
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The tensors that ``mode`` of the likelihood returns; they may differ from those that the encoder reads."""

    @abstractmethod
    def forward(self, latent: Float[Tensor, "batch latent"]) -> Likelihood:
        """Return the distribution for each latent."""


@dataclass(frozen=True)
class Input:
    """One named input of a model, as an objective sees it."""

    modality: Modality
    make_encoder: Callable[[], Encoder]
    make_decoder: Callable[[int], Decoder] | None


@dataclass(frozen=True)
class Losses:
    """The loss that a step minimises, and the terms that it is made of, one value per row, for the log.

    ``weight`` says which rows count in the loss. ``rows`` says, for some terms, which rows the term applies to; all
    other terms apply to every row that counts. A term is zero in every other row.
    """

    loss: Float[Tensor, ""]
    terms: Mapping[str, Float[Tensor, " batch"]]
    weight: Float[Tensor, " batch"]
    rows: Mapping[str, Bool[Tensor, " batch"]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<losses of {len(self.weight)} rows: {', '.join(self.terms)}>"

    @classmethod
    def over(
        cls,
        rows: Bool[Tensor, " batch"],
        terms: Mapping[str, Float[Tensor, " batch"]],
        weights: Mapping[str, float] | None = None,
        *,
        concerned: Mapping[str, Bool[Tensor, " batch"]] | None = None,
    ) -> Losses:
        """Return losses with the mean over ``rows`` of the weighted sum of all terms; zero if no row counts.

        With R for ``rows``, w_k for the weight of term k and t_k(i) for its value in row i:

            loss = (1 / |R|) · Σ_{i ∈ R} Σ_k w_k · t_k(i)

        A term without a weight counts once. ``concerned`` names the rows of terms that apply to fewer than ``rows``.
        Other rows are ignored, even if a term is NaN in them.
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
        """Return losses with the sum of the means of all terms, each mean taken over the rows that the term applies to.

        With R_k for the rows of term k and t_k(i) for its value in row i:

            loss = Σ_k (1 / |R_k|) · Σ_{i ∈ R_k} t_k(i)

        A row counts if any term applies to it. The objective offers ``CountsByTerm``, with the same ``rows``.
        """
        kept = {name: zeros_where_absent(term, rows[name]) for name, term in terms.items()}
        means = [_mean(term, rows[name]) for name, term in kept.items()]
        loss = torch.stack(means).sum()
        return cls(loss, kept, torch.stack([*rows.values()]).any(dim=0).to(loss.dtype), rows)

    def means(self) -> Mapping[str, Float[Tensor, ""]]:
        """Return each term's mean over the rows that it applies to, zero if there are none."""
        return {name: _mean(term, self.rows_of(name)) for name, term in self.terms.items()}

    def counts(self) -> Mapping[str, Int64[Tensor, ""]]:
        """Return how many rows contribute to each term."""
        return {name: (self.rows_of(name) != 0).sum() for name in self.terms}

    def rows_of(self, name: str) -> Tensor:
        """Return the rows that a term applies to."""
        return self.rows.get(name, self.weight)

    def detached(self) -> Losses:
        """Return the same numbers without a graph."""
        terms = {name: term.detach() for name, term in self.terms.items()}
        return Losses(self.loss.detach(), terms, self.weight.detach(), self.rows)

    def take(self, rows: slice) -> Losses:
        """Return the terms of some rows, beside the loss of all."""
        terms, concerned = ({name: one[rows] for name, one in each.items()} for each in (self.terms, self.rows))
        return Losses(self.loss, terms, self.weight[rows], concerned)


def _mean(term: Float[Tensor, "*batch"], rows: Tensor) -> Float[Tensor, ""]:
    return term.sum() / rows.sum().clamp(min=1)


class Objective(nn.Module, ABC):
    """Turns features into a latent and losses, and lists the functions of the model that can be deployed.

    Built as ``Objective(inputs, latent_dim, **options)``; it owns as many encoders and decoders as it wants. All of its
    randomness comes in through ``noise``, so that a step is a function of its arguments. ``fewest_inputs`` is the
    number of inputs that a row must have to be used in training.
    """

    needs_decoders: ClassVar[bool] = False
    compares_rows: ClassVar[bool] = False
    fewest_inputs: ClassVar[int] = 1

    @abstractmethod
    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw all random numbers that ``losses`` needs; the first axis of each tensor is the row."""

    def players(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """Return the parameters that each player minimises over; only an adversarial objective has several players."""
        return {"model": [parameter for parameter in self.parameters() if parameter.requires_grad]}

    @torch.no_grad()
    def keep_bounds(self) -> None:
        """Move parameters that left their bounds back to them, in place. By default no parameter has bounds.

        Training calls this before the first step and after each step of an optimiser. Clamping inside ``losses``
        instead would let a parameter drift beyond its bound, where it would stay long after its gradient has changed
        direction.
        """

    def forward(self, batch: Batch, noise: Tensors, player: str) -> Losses:
        """Return the losses of a batch, whatever its gaps hold."""
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
