"""What a model does with held-out samples, as pictures: whatever its graphs allow, whatever its modalities draw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, permutations, zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.graphs import as_tensors
from zoo.model import Model
from zoo.modules import Tensors
from zoo.protocols import Graph, Modality, Sample

if TYPE_CHECKING:
    from PIL.Image import Image

    from zoo.protocols import Array

TILE = 96
_SHOWN, _NEAREST, _GALLERY, _GAP = 6, 5, 1000, 4
_WIDE, _LOWEST = 2 * TILE + _GAP, TILE // 4
_RIGHT = (21, 128, 61)


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
            yield _reconstructions(graphs[f"reconstruct_{name}"], name, modality, known[: 2 * _SHOWN])
        encode = graphs.get(f"encode_{name}")
        # A latent with a variance of its own was pulled to the prior, so what the prior draws can be decoded.
        if f"decode_{name}" in graphs and encode and f"encode_{name}.log_var" in encode.outputs:
            yield _draws(graphs[f"decode_{name}"], name, modality, generator)
    for source, target in permutations(model.modalities, 2):
        pair = [graphs.get(f"encode_{name}") for name in (source, target)]
        if all(graph and f"{graph.name}.embedding" in graph.outputs for graph in pair):
            both = [s for s in samples if s.inputs.get(source) is not None and s.inputs.get(target) is not None]
            if len(both) > _NEAREST:
                yield _answers(graphs, model.modalities, source, target, both[:_GALLERY])


def sheet(rows: Sequence[Sequence[Image]], *, framed: Sequence[tuple[int, int]] = (), rows_together: int = 1) -> Image:
    """Return drawn values in rows, each fitted into a tile; those at ``framed`` (row, column) get a green frame.

    A column that holds a line of text is two tiles wide, a row of such lines lower than a tile. Every
    ``rows_together`` rows stand a little apart from the next ones.
    """
    from PIL import Image as images, ImageDraw

    tiles = [[_tile(drawn) for drawn in row] for row in rows]
    widths = [_WIDE if _has_lines(filter(None, column)) else TILE for column in zip_longest(*tiles)]
    heights = [max(_LOWEST, *(tile.height for tile in row)) for row in tiles]
    apart = [4 * _GAP if rows_together > 1 and place % rows_together == 0 else _GAP for place in range(len(rows))]
    lefts = list(accumulate(widths, lambda at, width: at + width + _GAP, initial=_GAP))
    tops = [sum(apart[: place + 1]) + sum(heights[:place]) for place in range(len(rows))]
    page = images.new("RGB", (lefts[-1], tops[-1] + heights[-1] + _GAP), "white")
    canvas = ImageDraw.Draw(page)
    for across, row in enumerate(tiles):
        for down, tile in enumerate(row):
            left, top, width, height = lefts[down], tops[across], widths[down], heights[across]
            page.paste(tile, (left + (width - tile.width) // 2, top + (height - tile.height) // 2))
            if (across, down) in framed:
                canvas.rectangle((left - 2, top - 2, left + width + 1, top + height + 1), outline=_RIGHT, width=3)
    return page


def _tile(drawn: Image) -> Image:
    """Return a drawn value as large as a tile; a larger one loses its white margins first, so that text is legible."""
    from PIL import Image as images, ImageChops, ImageOps

    coloured = drawn.convert("RGB")
    if max(coloured.size) <= TILE:
        return ImageOps.contain(coloured, (TILE, TILE), images.Resampling.NEAREST)
    box = ImageChops.difference(coloured, images.new("RGB", coloured.size, "white")).getbbox()
    trimmed = coloured.crop(box) if box else coloured
    wide = trimmed.width > 2 * trimmed.height
    trimmed.thumbnail((_WIDE - 3 * _GAP if wide else TILE, TILE), images.Resampling.LANCZOS)
    return trimmed


def _has_lines(tiles: Iterable[Image]) -> bool:
    return any(tile.width > TILE for tile in tiles)


def _per_row(drawn: Sequence[Image], most: int) -> int:
    """Return how many drawn values stand in a row: half as many where some are lines of text."""
    return (most + 1) // 2 if _has_lines(map(_tile, drawn)) else most


def _reconstructions(graph: Graph, name: str, modality: Modality, samples: Sequence[Sample]) -> Picture:
    values = [sample.inputs[name] for sample in samples]
    rebuilt = _values(graph, modality, _run(graph, _inputs(name, modality, values)))
    above, below = ([modality.draw(value) for value in each] for each in (values, rebuilt))
    count = _per_row([*above, *below], _SHOWN)
    rows = [drawn[start : start + count] for start in range(0, len(above), count) for drawn in (above, below)]
    return Picture(f"{name}: held-out values above, their reconstructions below", sheet(rows, rows_together=2))


def _draws(graph: Graph, name: str, modality: Modality, generator: np.random.Generator) -> Picture:
    values = _values(graph, modality, _run(graph, as_tensors(graph.draw(2 * _SHOWN, {}, generator))))
    drawn = [modality.draw(value) for value in values]
    count = _per_row(drawn, _SHOWN)
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
    count = _per_row([answer for row in drawn for answer in row], _NEAREST)
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
