"""How far what a decoder makes lies from what it is compared with."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from zoo import Batch, Decoder, RunsGraphs, Tensors, by_leaf, with_owner


def squared_error(mode: Tensors, target: Tensors) -> Float[Tensor, " batch"] | None:
    """Return the mean squared difference a value of each row, over the outputs that are numbers; None without any."""
    errors = [(made - target[name]).flatten(1) for name, made in mode.items() if made.is_floating_point()]
    return torch.cat(errors, dim=1).square().mean(dim=1) if errors else None


def answer_error(
    graph: str, run: RunsGraphs, source: str, batch: Batch, target: str, decoder: Decoder
) -> Float[Tensor, " batch"] | None:
    """Return the squared error of what a deployed graph makes of the input ``source``, as the input ``target``.

    ``decoder`` is the one in the graph: its likelihood tells what its mode is compared with. None where no output of
    the graph is a number.
    """
    mode = run(graph, with_owner(source, batch.inputs[source]))
    likelihood = decoder(torch.zeros(batch.rows, decoder.latent_dim))
    return squared_error(by_leaf(mode), likelihood.target(batch.inputs[target]))
