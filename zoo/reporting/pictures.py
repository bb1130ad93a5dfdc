"""The results of a model on held-out samples as pictures: all that its graphs offer and its modalities can draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.models.build import Model
from zoo.models.graphs import as_tensors, evaluating, graph_of
from zoo.modules import Tensors
from zoo.protocols import Graph, Modality, Sample
from zoo.recipes.naming import (
    DECODE,
    EMBEDDING,
    ENCODE,
    LOG_VAR,
    RECONSTRUCT,
    TRANSLATE,
    by_leaf,
    with_owner,
)
from zoo.reporting.sheets import per_row, sheet

if TYPE_CHECKING:
    from PIL.Image import Image

    from zoo.protocols import Array

_SHOWN, _NEAREST, _GALLERY = 6, 5, 1000


@dataclass(frozen=True)
class Picture:
    """A sheet of drawn values, and its title."""

    title: str
    image: Image


def pictures_of(model: Model, samples: Sequence[Sample], *, seed: int = 0) -> Iterator[Picture]:
    """Yield reconstructions, draws from the prior, translations, nearest answers, if the model has graphs for them."""
    with evaluating(model.objective):
        graphs = model.graphs(raw=False)
    modalities = model.modalities
    for name in modalities:
        known = [sample for sample in samples if sample.inputs.get(name) is not None]
        reconstruct = graph_of(graphs, RECONSTRUCT, source=name, target=name)
        if reconstruct and known:
            title = f"{name}: held-out values above, their reconstructions below"
            yield _decoded({name: reconstruct}, name, modalities, known[: 2 * _SHOWN], title)
    # A latent with a variance was trained towards the prior, so draws from the prior can be decoded.
    if any(graph.kind == ENCODE and LOG_VAR in by_leaf(graph.outputs) for graph in graphs):
        decoders = {name: decode for name in modalities if (decode := graph_of(graphs, DECODE, target=name))}
        if decoders:
            yield _draws(decoders, modalities, np.random.default_rng(seed))
    for source in modalities:
        known = [sample for sample in samples if sample.inputs.get(source) is not None]
        ways = {name: graph_of(graphs, TRANSLATE, source=source, target=name) for name in modalities}
        made = {name: translate for name, translate in ways.items() if translate}
        if made and known:
            title = f"{source} to {', '.join(made)}: held-out values above, what they are translated to below"
            yield _decoded(made, source, modalities, known[: _SHOWN * (2 if len(made) == 1 else 1)], title)
    for source, target in permutations(modalities, 2):
        encoders = [graph_of(graphs, ENCODE, source=name) for name in (source, target)]
        pair = [graph for graph in encoders if graph and EMBEDDING in by_leaf(graph.outputs)]
        if len(pair) == 2:
            both = [s for s in samples if s.inputs.get(source) is not None and s.inputs.get(target) is not None]
            if len(both) > _NEAREST:
                yield _answers(pair, modalities, source, target, both[:_GALLERY])


def _decoded(
    graphs: Mapping[str, Graph], name: str, modalities: Mapping[str, Modality], samples: Sequence[Sample], title: str
) -> Picture:
    """Return values of one input, and below them the output of each graph, given by the input that it makes."""
    values = [sample.inputs[name] for sample in samples]
    inputs = _inputs(name, modalities[name], values)
    drawn = [[modalities[name].draw(value) for value in values]]
    for target, graph in graphs.items():
        made = _values(modalities[target], _run(graph, inputs))
        drawn.append([modalities[target].draw(value) for value in made])
    count = per_row([one for row in drawn for one in row], _SHOWN)
    rows = [row[start : start + count] for start in range(0, len(values), count) for row in drawn]
    return Picture(title, sheet(rows, rows_together=len(drawn)))


def _draws(graphs: Mapping[str, Graph], modalities: Mapping[str, Modality], generator: np.random.Generator) -> Picture:
    """Return the outputs of the decoders of all inputs for the same latents."""
    shown = _SHOWN * (2 if len(graphs) == 1 else 1)
    latents = as_tensors(next(iter(graphs.values())).draw(shown, {}, generator))
    drawn = [
        [modalities[name].draw(value) for value in _values(modalities[name], _run(graph, latents))]
        for name, graph in graphs.items()
    ]
    count = per_row([one for row in drawn for one in row], _SHOWN)
    rows = [row[start : start + count] for start in range(0, shown, count) for row in drawn]
    if len(graphs) == 1:
        return Picture(f"{next(iter(graphs))}: decoded from latents drawn from the prior", sheet(rows))
    title = f"{', '.join(graphs)}: decoded from latents drawn from the prior, one latent per column"
    return Picture(title, sheet(rows, rows_together=len(graphs)))


def _answers(
    pair: Sequence[Graph], modalities: Mapping[str, Modality], source: str, target: str, samples: Sequence[Sample]
) -> Picture:
    arrays = {
        name: modalities[name].to_arrays([sample.inputs[name] for sample in samples]) for name in (source, target)
    }
    outputs = {one.source: _run(one, with_owner(one.source, as_tensors(arrays[one.source]))) for one in pair}
    embedded = {name: by_leaf(made)[EMBEDDING].double() for name, made in outputs.items()}
    same = {name: _first_equal(found) for name, found in arrays.items()}
    asked, offered = (sorted(set(same[name])) for name in (source, target))
    # Not by matrix products, so that equal embeddings have exactly equal distances to others.
    distances = torch.cdist(
        embedded[source][asked], embedded[target][offered], compute_mode="donot_use_mm_for_euclid_dist"
    )
    right = torch.tensor([offered.index(same[target][row]) for row in asked])
    better = (distances < distances.gather(1, right[:, None])).sum(dim=1)
    shown = np.linspace(0, len(asked) - 1, min(_SHOWN, len(asked))).round().astype(int)
    chosen = better.argsort(stable=True)[shown]
    nearest = distances[chosen].argsort(dim=1, stable=True)[:, :_NEAREST].tolist()
    drawn = [[modalities[target].draw(samples[offered[place]].inputs[target]) for place in row] for row in nearest]
    count = per_row([answer for row in drawn for answer in row], _NEAREST)
    rows, framed = [], []
    for across, (query, answers) in enumerate(zip(chosen.tolist(), drawn, strict=True)):
        rows.append([modalities[source].draw(samples[asked[query]].inputs[source]), *answers[:count]])
        places = nearest[across][:count]
        framed += [(across, down) for down, place in enumerate(places, start=1) if place == int(right[query])]
    title = f"{source} to {target}: held-out queries, from the best answered to the worst"
    of = f"the nearest of {len(offered)} answers beside each, the right one framed"
    return Picture(f"{title}; {of}", sheet(rows, framed=framed))


def _first_equal(arrays: Mapping[str, Array]) -> list[int]:
    """Return for each row the first row that holds the same."""
    first: dict[bytes, int] = {}
    rows = [b"".join(array[row].tobytes() for array in arrays.values()) for row in range(len(_first(arrays)))]
    return [first.setdefault(content, place) for place, content in enumerate(rows)]


def _first(arrays: Mapping[str, Array]) -> Array:
    return next(iter(arrays.values()))


def _inputs(name: str, modality: Modality, values: Sequence[Any]) -> Tensors:
    return with_owner(name, as_tensors(modality.to_arrays(values)))


def _run(graph: Graph, inputs: Tensors) -> dict[str, Tensor]:
    device = next(iter(graph.module.parameters())).device
    with evaluating(graph.module):
        made = graph.module({name: tensor.to(device) for name, tensor in inputs.items()})
    return {name: tensor.cpu() for name, tensor in made.items()}


def _values(modality: Modality, outputs: Mapping[str, Tensor]) -> Sequence[Any]:
    return modality.from_arrays({leaf: tensor.numpy() for leaf, tensor in by_leaf(outputs).items()})
