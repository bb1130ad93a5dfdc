"""What objectives and likelihoods may offer: optional protocols over torch's tensors.

A component that has the methods of one offers it; it is asked for by ``isinstance``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from zoo.modules import Batch, Losses, Tensors

# Runs a deployed graph, given by name, on tensors named as its inputs; returns its outputs by name.
RunsGraphs = Callable[[str, Tensors], Tensors]


@runtime_checkable
class MeasuresAnswers(Protocol):
    """What an objective may also offer: metrics computed from the outputs of deployed graphs, on any runtime."""

    def answer_metrics(self, batches: Iterable[Batch], run: RunsGraphs) -> Mapping[str, float]:
        """Return the metrics of held-out batches that can be computed from the graphs' outputs alone."""


@runtime_checkable
class CountsByTerm(Protocol):
    """What an objective may also offer: its loss is the sum of its terms' means, each over its own rows.

    Its ``losses`` return ``Losses.of_means``. The gradient over a batch taken in parts is then that of the whole batch.
    """

    def counted(self, batch: Batch, *, player: str) -> Mapping[str, Bool[Tensor, " batch"]]:
        """Return the rows that each term is averaged over, computed from ``present`` alone."""


@runtime_checkable
class ComparesEmbeddings(Protocol):
    """What an objective that compares rows must offer if a batch may be taken in parts or by several processes.

    Its losses are a function of embeddings, each made from one row. ``losses`` is written with these two methods:

        return self.losses_of(self.embeddings(batch, noise, player=player), batch, noise, player=player)

    Training embeds each part without a graph, computes the loss of all rows once, then embeds each part again to pass
    the gradients of its embeddings on to the weights. So the gradient is that of the whole batch, while only one part's
    activations are held. No row may influence the embeddings of another: batch normalisation is not allowed.

    Source: Gao, Zhang, Han & Callan 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
    arXiv 2101.06983, section 3.2.
    """

    def embeddings(self, batch: Batch, noise: Tensors, *, player: str) -> Mapping[str, Float[Tensor, "batch ..."]]:
        """Return all that ``losses_of`` needs from ``batch.inputs``, by name; row ``i`` depends on row ``i`` alone."""

    def losses_of(self, embeddings: Tensors, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the losses of all rows; of ``batch`` only ``present`` and ``groups`` may be read."""


@runtime_checkable
class ScoresRepeatedly(Protocol):
    """What a likelihood may also offer: it scores several latents per row without copying the row's tensors."""

    def repeated_log_prob(self, tensors: Tensors, times: int) -> Float[Tensor, "times batch"]:
        """Return log-likelihoods, for a likelihood that was built from ``times`` latents per row.

        In nats. Row ``i * batch + j`` of the likelihood belongs to row ``j`` of ``tensors``.
        """
