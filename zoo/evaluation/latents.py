"""Latents of many rows: of each encoder, or of every subset of the inputs if the model embeds subsets.

This code knows neither the objective nor the modality: it takes the outputs called ``latent`` or ``embedding``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from zoo.evaluation.subsets import every_subset
from zoo.models.batches import Rows, in_order
from zoo.models.build import Model
from zoo.models.graphs import Embed, evaluating, graph_of
from zoo.modules import Batch
from zoo.protocols import Graph
from zoo.recipes.naming import EMBED, ENCODE, leaf_of, vector_output, with_owner

_BATCH_ROWS = 256


@dataclass(frozen=True)
class Latents:
    """One latent per row, and the rows in which all of its inputs are present; ``output`` is its name in the graph."""

    output: str
    values: Float[Tensor, "row latent"]
    known: Bool[Tensor, " row"]


def latents_of(model: Model, rows: Rows) -> dict[tuple[str, ...], Latents]:
    """Return the latents of all rows, by the inputs that they are computed from.

    A model with a graph of the kind ``embed`` gives latents of every subset of its inputs; any other gives latents of
    each graph of the kind ``encode``. Empty if no graph has such an output.
    """
    with evaluating(model.objective):
        graphs = model.graphs(raw=False)
        embed = graph_of(graphs, EMBED)
        if embed is not None and isinstance(embed.module, Embed) and (output := vector_output(embed.outputs)):
            return _of_subsets(embed.module, output, model, rows)
        return {
            (graph.source,): Latents(leaf_of(output), *_of_encoder(graph, output, model, rows))
            for graph in graphs
            if graph.kind == ENCODE and (output := vector_output(graph.outputs))
        }


def _of_encoder(graph: Graph, output: str, model: Model, rows: Rows) -> tuple[Tensor, Tensor]:
    found, known = [], []
    for batch in _batches(model, rows):
        found.append(graph.module(with_owner(graph.source, batch.inputs[graph.source]))[output])
        known.append(batch.present[graph.source])
    return torch.cat(found), torch.cat(known)


def _of_subsets(embed: Embed, output: str, model: Model, rows: Rows) -> dict[tuple[str, ...], Latents]:
    """Return the latents of every subset; each encoder reads each row once."""
    key = leaf_of(output)
    subsets = every_subset(list(model.modalities))
    found: Mapping[tuple[str, ...], tuple[list[Tensor], list[Tensor]]] = {subset: ([], []) for subset in subsets}
    for batch in _batches(model, rows):
        features = embed.features(batch.inputs)
        nowhere = torch.zeros(batch.rows, dtype=torch.bool, device=next(iter(features.values())).device)
        for subset, (values, known) in found.items():
            there = {name: present if name in subset else nowhere for name, present in batch.present.items()}
            values.append(embed.joint(features, there)[key])
            known.append(torch.stack([batch.present[name] for name in subset]).all(dim=0))
    return {subset: Latents(key, torch.cat(values), torch.cat(known)) for subset, (values, known) in found.items()}


def _batches(model: Model, rows: Rows) -> Iterator[Batch]:
    device = next(model.objective.parameters()).device
    for batch in in_order(rows, torch.arange(len(rows)), _BATCH_ROWS):
        yield batch.to(device).with_clean_gaps()
