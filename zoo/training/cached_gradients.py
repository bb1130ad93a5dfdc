"""The gradient of a loss that compares all rows of a batch, while only one part of them is held at a time.

With the embeddings z_i = f(x_i) of the rows and the loss L(z_1, …, z_n; w), where w are parameters of the loss itself:

    dL/dθ = Σ_i (dL/dz_i) · (dz_i/dθ),    dL/dw as it is

The first pass embeds each part without a graph. The loss of all rows, gathered over processes, gives dL/dz_i and dL/dw.
The second pass embeds each part again, with a graph, and multiplies.

Source: Gao, Zhang, Han & Callan 2021, arXiv 2101.06983, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from zoo.abilities import ComparesEmbeddings
from zoo.errors import UsageError
from zoo.modules import Batch, Losses, Objective, Tensors
from zoo.recipes.training import Training


@dataclass(frozen=True)
class CachedGradients:
    """Takes a batch in ``parts`` in each of the processes of ``accelerator``."""

    objective: ComparesEmbeddings
    embed: Callable[..., Tensors]
    parts: int
    accelerator: Accelerator

    @classmethod
    def of(cls, objective: Objective, settings: Training, accelerator: Accelerator) -> CachedGradients | None:
        """Return None if a batch is taken at once, or if the objective does not compare rows.

        Raises UsageError if it compares rows, but not by embeddings.
        """
        parts = settings.accumulate
        if not objective.compares_rows or parts == accelerator.num_processes == 1:
            return None
        if not isinstance(objective, ComparesEmbeddings):
            raise UsageError(
                f"{type(objective).__name__} compares the rows of a batch, but not by embeddings that could be made in "
                f"parts: training.accumulate is {parts}, and there are {accelerator.num_processes} processes; take one "
                "of each, or let the objective offer zoo.ComparesEmbeddings"
            )
        embed = torch.compile(objective.embeddings) if settings.compile else objective.embeddings
        return cls(objective, embed, parts, accelerator)

    def backward(
        self,
        batch: Batch,
        noise: Tensors,
        *,
        player: str,
        parameters: Sequence[nn.Parameter],
        check: Callable[[Losses], None],
    ) -> Losses:
        """Add the gradient of the batch of all processes to ``parameters``; return the losses of this process's rows.

        ``check`` sees the losses of all rows before any gradient is computed.
        """
        parts = [part for part in torch.arange(batch.rows).tensor_split(self.parts) if len(part)]
        parts = [part.to(next(iter(batch.present.values())).device) for part in parts or [torch.arange(0)]]

        def embed(index: Tensor) -> Tensors:
            part, drawn = batch.take(index).with_clean_gaps(), {name: tensor[index] for name, tensor in noise.items()}
            with self.accelerator.autocast():
                return self.embed(part, drawn, player=player)

        chances: list[_Chance] = []
        joined: dict[str, Tensor] = {}
        for index in parts:
            chances.append(_Chance.now(self.accelerator.device))
            with torch.no_grad():
                for name, tensor in embed(index).items():
                    whole = joined.setdefault(name, tensor.new_empty((batch.rows, *tensor.shape[1:])))
                    whole[index] = tensor
        losses, gradients = self._of_all(joined, batch, noise, player, parameters, check)
        for index, chance in zip(parts, chances, strict=True):
            chance.restore()
            again = embed(index)
            taken = [name for name, tensor in again.items() if tensor.requires_grad and name in gradients]
            if taken:  # none, if all that makes embeddings is frozen
                torch.autograd.backward([again[name] for name in taken], [gradients[name][index] for name in taken])
        self._add_up(parameters)
        return losses

    def _of_all(
        self,
        embedded: dict[str, Tensor],
        batch: Batch,
        noise: Tensors,
        player: str,
        parameters: Sequence[nn.Parameter],
        check: Callable[[Losses], None],
    ) -> tuple[Losses, Tensors]:
        """Return the losses of this process's rows, and the gradients of their embeddings by the loss of all rows."""
        peers = _Peers.of(self.accelerator, batch.rows)
        leaves = {}
        for name in list(embedded):
            whole = peers.joined(embedded.pop(name)).detach()
            leaves[name] = whole.requires_grad_(whole.is_floating_point())
        present, groups, drawn = (
            {name: peers.joined(tensor) for name, tensor in tensors.items()}
            for tensors in (batch.present, batch.groups, noise)
        )
        with self.accelerator.autocast():
            losses = self.objective.losses_of(leaves, Batch({}, present, groups), drawn, player=player)
        check(losses)
        self.accelerator.backward(losses.loss)
        for parameter in parameters:
            if parameter.grad is not None:  # every process has the whole of it, and all of them are added up
                parameter.grad.div_(self.accelerator.num_processes)
        gradients = {name: leaf.grad[peers.own] for name, leaf in leaves.items() if leaf.grad is not None}
        return losses.detached().take(peers.own), gradients

    def _add_up(self, parameters: Sequence[nn.Parameter]) -> None:
        """Add up the gradients of all processes; a parameter that none of them used stays without one."""
        if self.accelerator.num_processes == 1:
            return
        used = torch.tensor([float(one.grad is not None) for one in parameters], device=self.accelerator.device)
        used = self.accelerator.reduce(used, "sum")
        for parameter, count in zip(parameters, used.tolist(), strict=True):
            if count:
                own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                parameter.grad = self.accelerator.reduce(own, "sum")


@dataclass(frozen=True)
class _Peers:
    """The rows of each process in the batch of all."""

    accelerator: Accelerator
    counts: Sequence[int]

    @classmethod
    def of(cls, accelerator: Accelerator, rows: int) -> _Peers:
        counts: Tensor = accelerator.gather(torch.tensor([rows], device=accelerator.device))
        return cls(accelerator, counts.tolist())

    @property
    def own(self) -> slice:
        """The rows of this process."""
        start = sum(self.counts[: self.accelerator.process_index])
        return slice(start, start + self.counts[self.accelerator.process_index])

    def joined(self, tensor: Tensor) -> Tensor:
        """Return the rows of all processes, in order."""
        if len(self.counts) == 1:
            return tensor
        sent = tensor.to(torch.uint8) if tensor.dtype == torch.bool else tensor
        sent = self.accelerator.pad_across_processes(sent.contiguous(), dim=0)
        each = self.accelerator.gather(sent).split(max(self.counts))
        return torch.cat([rows[:count] for rows, count in zip(each, self.counts, strict=True)]).to(tensor.dtype)


@dataclass(frozen=True)
class _Chance:
    """The state of torch's generators, so that dropout leaves out the same values in both passes."""

    host: Tensor
    devices: Sequence[Tensor]

    @classmethod
    def now(cls, device: torch.device) -> _Chance:
        return cls(torch.get_rng_state(), torch.cuda.get_rng_state_all() if device.type == "cuda" else [])

    def restore(self) -> None:
        """Let the generators draw the same numbers once more."""
        torch.set_rng_state(self.host)
        if self.devices:
            torch.cuda.set_rng_state_all(list(self.devices))
