"""The error of decoded values: the squared difference between a decoder's mode and its target."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from zoo import Batch, Decoder, RunsGraphs, Tensors, by_leaf, with_owner


def squared_error(mode: Tensors, target: Tensors) -> Float[Tensor, " batch"] | None:
    """Return each row's mean squared difference per value, over floating-point outputs; None if there are none."""
    errors = [(made - target[name]).flatten(1) for name, made in mode.items() if made.is_floating_point()]
    return torch.cat(errors, dim=1).square().mean(dim=1) if errors else None


def answer_error(
    graph: str, run: RunsGraphs, source: str, batch: Batch, target: str, decoder: Decoder
) -> Float[Tensor, " batch"] | None:
    """Return the squared error of a deployed graph that reads the input ``source`` and makes the input ``target``.

    ``decoder`` is the decoder in the graph; its likelihood gives the target of the comparison. The result is None if no
    output of the graph is floating-point.
    """
    mode = run(graph, with_owner(source, batch.inputs[source]))
    likelihood = decoder(torch.zeros(batch.rows, decoder.latent_dim))
    return squared_error(by_leaf(mode), likelihood.target(batch.inputs[target]))
