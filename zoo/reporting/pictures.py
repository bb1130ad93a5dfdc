"""What a model does with held-out samples, as pictures: whatever its graphs allow, whatever its modalities draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.graphs import as_tensors
from zoo.model import Model
from zoo.modules import Tensors
from zoo.protocols import Graph, Modality, Sample
from zoo.reporting.sheets import per_row, sheet

if TYPE_CHECKING:
    from PIL.Image import Image

    from zoo.protocols import Array

_SHOWN, _NEAREST, _GALLERY = 6, 5, 1000


@dataclass(frozen=True)
class Picture:
    """A sheet of drawn values, and what it shows."""

    title: str
    image: Image


def pictures_of(model: Model, samples: Sequence[Sample], *, seed: int = 0) -> Iterator[Picture]:
    """Yield reconstructions, draws from the prior and nearest answers, each where the model has graphs for it."""
    graphs = {graph.name: graph for graph in model.graphs()}
    generator = np.random.default_rng(seed)
    for name, modality in model.modalities.items():
        known = [sample for sample in samples if sample.inputs.get(name) is not None]
        if f"reconstruct_{name}" in graphs and known:
            title = f"{name}: held-out values above, their reconstructions below"
            yield _decoded(graphs[f"reconstruct_{name}"], name, modality, modality, known[: 2 * _SHOWN], title)
        encode = graphs.get(f"encode_{name}")
        # A latent with a variance of its own was pulled to the prior, so what the prior draws can be decoded.
        if f"decode_{name}" in graphs and encode and f"encode_{name}.log_var" in encode.outputs:
            yield _draws(graphs[f"decode_{name}"], name, modality, generator)
    for source, target in permutations(model.modalities, 2):
        translate = graphs.get(f"translate_{source}_to_{target}")
        known = [sample for sample in samples if sample.inputs.get(source) is not None]
        if translate and known:
            title = f"{source} to {target}: held-out values above, what they are translated to below"
            first, second = model.modalities[source], model.modalities[target]
            yield _decoded(translate, source, first, second, known[: 2 * _SHOWN], title)
        pair = [graphs.get(f"encode_{name}") for name in (source, target)]
        if all(graph and f"{graph.name}.embedding" in graph.outputs for graph in pair):
            both = [s for s in samples if s.inputs.get(source) is not None and s.inputs.get(target) is not None]
            if len(both) > _NEAREST:
                yield _answers(graphs, model.modalities, source, target, both[:_GALLERY])


def _decoded(
    graph: Graph, name: str, source: Modality, target: Modality, samples: Sequence[Sample], title: str
) -> Picture:
    """Return values of one input, and what a graph makes of each, below it."""
    values = [sample.inputs[name] for sample in samples]
    above = [source.draw(value) for value in values]
    below = [target.draw(value) for value in _values(graph, target, _run(graph, _inputs(name, source, values)))]
    count = per_row([*above, *below], _SHOWN)
    rows = [drawn[start : start + count] for start in range(0, len(above), count) for drawn in (above, below)]
    return Picture(title, sheet(rows, rows_together=2))


def _draws(graph: Graph, name: str, modality: Modality, generator: np.random.Generator) -> Picture:
    values = _values(graph, modality, _run(graph, as_tensors(graph.draw(2 * _SHOWN, {}, generator))))
    drawn = [modality.draw(value) for value in values]
    count = per_row(drawn, _SHOWN)
    rows = [drawn[start : start + count] for start in range(0, len(drawn), count)]
    return Picture(f"{name}: decoded from latents drawn from the prior", sheet(rows))


def _answers(
    graphs: Mapping[str, Graph], modalities: Mapping[str, Modality], source: str, target: str, samples: Sequence[Sample]
) -> Picture:
    arrays = {
        name: modalities[name].to_arrays([sample.inputs[name] for sample in samples]) for name in (source, target)
    }
    embedded = {
        name: _run(graphs[f"encode_{name}"], _named(name, as_tensors(found)))[f"encode_{name}.embedding"].double()
        for name, found in arrays.items()
    }
    same = {name: _first_equal(found) for name, found in arrays.items()}
    asked, offered = (sorted(set(same[name])) for name in (source, target))
    distances = torch.cdist(embedded[source][asked], embedded[target][offered])
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


def _named(name: str, tensors: Tensors) -> Tensors:
    return {f"{name}.{key}": tensor for key, tensor in tensors.items()}


def _inputs(name: str, modality: Modality, values: Sequence[Any]) -> Tensors:
    return _named(name, as_tensors(modality.to_arrays(values)))


@torch.no_grad()
def _run(graph: Graph, inputs: Tensors) -> dict[str, Tensor]:
    device = next(iter(graph.module.parameters())).device
    made = graph.module({name: tensor.to(device) for name, tensor in inputs.items()})
    return {name: tensor.cpu() for name, tensor in made.items()}


def _values(graph: Graph, modality: Modality, outputs: Mapping[str, Tensor]) -> Sequence[Any]:
    return modality.from_arrays({name.removeprefix(f"{graph.name}."): t.numpy() for name, t in outputs.items()})
