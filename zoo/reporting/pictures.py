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

if TYPE_CHECKING:
    from PIL.Image import Image

    from zoo.protocols import Array

TILE = 96
_SHOWN, _NEAREST, _GALLERY, _GAP = 6, 5, 1000, 4
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


def sheet(rows: Sequence[Sequence[Image]], *, framed: Sequence[tuple[int, int]] = ()) -> Image:
    """Return drawn values in rows, each fitted into a tile; those at ``framed`` (row, column) get a green frame."""
    from PIL import Image as images, ImageDraw

    step = TILE + _GAP
    columns = max(len(row) for row in rows)
    page = images.new("RGB", (columns * step + _GAP, len(rows) * step + _GAP), "white")
    canvas = ImageDraw.Draw(page)
    for across, row in enumerate(rows):
        for down, drawn in enumerate(row):
            fitted = _fitted(drawn.convert("RGB"))
            corner = (_GAP + down * step, _GAP + across * step)
            page.paste(fitted, (corner[0] + (TILE - fitted.width) // 2, corner[1] + (TILE - fitted.height) // 2))
            if (across, down) in framed:
                box = (corner[0] - 2, corner[1] - 2, corner[0] + TILE + 1, corner[1] + TILE + 1)
                canvas.rectangle(box, outline=_RIGHT, width=3)
    return page


def _fitted(drawn: Image) -> Image:
    """Return a drawn value as large as a tile; a larger one loses its white margins first, so that text is legible."""
    from PIL import Image as images, ImageChops, ImageOps

    if max(drawn.size) <= TILE:
        return ImageOps.contain(drawn, (TILE, TILE), images.Resampling.NEAREST)
    box = ImageChops.difference(drawn, images.new("RGB", drawn.size, "white")).getbbox()
    trimmed = drawn.crop(box) if box else drawn
    trimmed.thumbnail((TILE, TILE), images.Resampling.LANCZOS)
    return trimmed


def _reconstructions(graph: Graph, name: str, modality: Modality, samples: Sequence[Sample]) -> Picture:
    values = [sample.inputs[name] for sample in samples]
    rebuilt = _values(graph, modality, _run(graph, _inputs(name, modality, values)))
    rows = []
    for start in range(0, len(values), _SHOWN):
        part = slice(start, start + _SHOWN)
        rows += [[modality.draw(value) for value in each[part]] for each in (_as_read(modality, values), rebuilt)]
    return Picture(f"{name}: held-out values above, their reconstructions below", sheet(rows))


def _draws(graph: Graph, name: str, modality: Modality, generator: np.random.Generator) -> Picture:
    drawn = _values(graph, modality, _run(graph, as_tensors(graph.draw(2 * _SHOWN, {}, generator))))
    rows = [[modality.draw(value) for value in drawn[start : start + _SHOWN]] for start in (0, _SHOWN)]
    return Picture(f"{name}: decoded from latents drawn from the prior", sheet(rows))


def _answers(
    graphs: Mapping[str, Graph], modalities: Mapping[str, Modality], source: str, target: str, samples: Sequence[Sample]
) -> Picture:
    arrays = {
        name: modalities[name].to_arrays([sample.inputs[name] for sample in samples]) for name in (source, target)
    }
    queries, gallery = (
        _run(graphs[f"encode_{name}"], _named(name, as_tensors(arrays[name])))[f"encode_{name}.embedding"].double()
        for name in (source, target)
    )
    shown = np.linspace(0, len(samples) - 1, _SHOWN).round().astype(int).tolist()
    order = torch.cdist(queries[shown], gallery).argsort(dim=1, stable=True).tolist()
    same = _groups(arrays[target])
    rows, framed = [], []
    for place, (query, positions) in enumerate(zip(shown, order, strict=True)):
        found = list({same[position]: position for position in reversed(positions)}.values())[::-1][:_NEAREST]
        answers = [modalities[target].draw(samples[position].inputs[target]) for position in found]
        rows.append([modalities[source].draw(samples[query].inputs[source]), *answers])
        framed += [(place, column) for column, position in enumerate(found, start=1) if same[position] == same[query]]
    title = f"{source} to {target}: on the left what was asked, then the nearest of {len(set(same))} held-out answers"
    return Picture(f"{title}; the right one is framed", sheet(rows, framed=framed))


def _groups(arrays: Mapping[str, Array]) -> list[int]:
    """Return a number for each row, the same for rows that hold the same."""
    rows = [b"".join(array[row].tobytes() for array in arrays.values()) for row in range(len(_first(arrays)))]
    numbers = {content: number for number, content in enumerate(dict.fromkeys(rows))}
    return [numbers[content] for content in rows]


def _first(arrays: Mapping[str, Array]) -> Array:
    return next(iter(arrays.values()))


def _named(name: str, tensors: Tensors) -> Tensors:
    return {f"{name}.{key}": tensor for key, tensor in tensors.items()}


def _inputs(name: str, modality: Modality, values: Sequence[Any]) -> Tensors:
    return _named(name, as_tensors(modality.to_arrays(values)))


def _as_read(modality: Modality, values: Sequence[Any]) -> Sequence[Any]:
    return modality.from_arrays(modality.to_arrays(values))


@torch.no_grad()
def _run(graph: Graph, inputs: Tensors) -> dict[str, Tensor]:
    device = next(iter(graph.module.parameters())).device
    made = graph.module({name: tensor.to(device) for name, tensor in inputs.items()})
    return {name: tensor.cpu() for name, tensor in made.items()}


def _values(graph: Graph, modality: Modality, outputs: Mapping[str, Tensor]) -> Sequence[Any]:
    return modality.from_arrays({name.removeprefix(f"{graph.name}."): t.numpy() for name, t in outputs.items()})
