"""The data for a page with sliders: the latent's important dimensions, their ranges, and rows to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import Dataset, Sample, UsageError, inputs_of, tensor_name
from zoo_web.tiles import write_tiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo import Bundle

    Array = NDArray[Any]

STARTS = "latent.starts"
_LATENT = "latent"
_MEASURED_ROWS, _MOVED_ROWS, _MOST_STARTS = 256, 64, 10
_CHANNELS = (1, 3)


@dataclass(frozen=True)
class Decoder:
    """A graph from the latent to a picture: ``output`` is (batch, channels, height, width), from 0 to 1.

    ``name`` is the input that it decodes to.
    """

    graph: str
    output: str
    shape: tuple[int, int, int]
    name: str


def decoders_of(graphs: Mapping[str, Any]) -> list[Decoder]:
    """Return the graphs of a bundle that turn a latent, and only a latent, into a picture."""
    found = []
    for name, graph in graphs.items():
        if graph.kind != "decode" or set(graph.inputs) != {_LATENT} or len(graph.outputs) != 1:
            continue
        ((output, spec),) = graph.outputs.items()
        _, *shape = spec.axes
        if len(shape) == 3 and shape[0] in _CHANNELS and (spec.low, spec.high) == (0, 1):
            found.append(Decoder(name, output, tuple(shape), graph.target))
    return found


def latent_of(bundle: Bundle, dataset: Dataset, folder: Path, arrays: dict[str, Array]) -> dict[str, Any] | None:
    """Return the page's data of the latent, and add the rows to start from to ``arrays``.

    None if a bundle does not decode a latent to pictures, or cannot encode such pictures.
    """
    graphs = bundle.manifest.graphs
    decoders = decoders_of(graphs)
    encoder = _encoder_of(graphs, decoders)
    if encoder is None:
        return None
    held_out = dataset.split(bundle.recipe.evaluation.split)
    known = [row for row in held_out[: 4 * _MEASURED_ROWS] if row.inputs.get(decoders[0].name) is not None]
    samples = known[:_MEASURED_ROWS]
    if not samples:
        raise UsageError(
            f"data {bundle.recipe.data.name!r}, split {bundle.recipe.evaluation.split!r}: no sample has the input "
            f"{decoders[0].name!r}, whose latents the page slides through; add some, choose another evaluation.split, "
            "or export without `layout`"
        )
    latents = _latents(bundle, *encoder, samples)
    starts = _starts(samples)
    arrays[STARTS] = np.ascontiguousarray(latents[starts])
    modality = bundle.modality(decoders[0].name)
    return {
        "decoders": [
            {"graph": decoder.graph, "output": decoder.output, "shape": decoder.shape, "name": decoder.name}
            for decoder in decoders
        ],
        "input": _LATENT,
        "dimensions": _dimensions(bundle, decoders, latents),
        "measured_rows": len(samples),
        "starts": STARTS,
        "tiles": write_tiles(
            [modality.draw(samples[place].inputs[decoders[0].name]) for place in starts], folder / "latent.png"
        ),
        "names": [_label(samples[place]) for place in starts],
    }


def _encoder_of(graphs: Mapping[str, Any], decoders: Sequence[Decoder]) -> tuple[str, str] | None:
    """Return the graph that computes the latent which the decoders read: that of all inputs together, if there is one.

    Also return the name of the output that is the latent.
    """
    if not decoders:
        return None
    takes = graphs[decoders[0].graph].inputs[_LATENT].axes
    for wanted in (("embed", ""), ("encode", decoders[0].name)):
        for name, graph in graphs.items():
            output = tensor_name(name, _LATENT)
            made = graph.outputs.get(output)
            if (graph.kind, graph.source, graph.raw) == (*wanted, False) and made is not None and made.axes == takes:
                return name, output
    return None


def _latents(bundle: Bundle, encode: str, output: str, samples: Sequence[Sample]) -> Array:
    takes = inputs_of(bundle.described(encode).inputs)
    values = {name: [sample.inputs.get(name) for sample in samples] for name in takes}
    return bundle.run(encode, values)[output]


def _dimensions(bundle: Bundle, decoders: Sequence[Decoder], latents: Array) -> list[dict[str, Any]]:
    """Return the dimensions of the latent, beginning with those that change the pictures most.

    ``share`` is a dimension's fraction of the total change. Its change is the mean over rows and pixels if it alone
    moves from one standard deviation below the rows' mean to one above.
    """
    mean, deviation = latents.mean(axis=0), latents.std(axis=0)
    change = np.zeros(len(mean))
    for place in range(len(mean)):
        for decoder in decoders:
            below, above = (
                _decoded(bundle, decoder, latents[:_MOVED_ROWS], place, mean[place] + side * deviation[place])
                for side in (-1, 1)
            )
            change[place] += np.abs(above - below).mean()
    share = change / (change.sum() or 1)
    return [
        {
            "place": int(place),
            "share": round(float(share[place]), 4),
            "mean": round(float(mean[place]), 4),
            "deviation": round(float(deviation[place]), 4),
            "low": float(np.floor(latents[:, place].min() * 10) / 10),
            "high": float(np.ceil(latents[:, place].max() * 10) / 10),
        }
        for place in np.argsort(-share, kind="stable")
    ]


def _decoded(bundle: Bundle, decoder: Decoder, latents: Array, place: int, value: float) -> Array:
    moved = latents.copy()
    moved[:, place] = value
    return bundle.graph(decoder.graph)({_LATENT: moved})[decoder.output]


def _starts(samples: Sequence[Sample]) -> list[int]:
    """Return the first row of each label, then others, until there are enough."""
    first: dict[str, int] = {}
    for place, sample in enumerate(samples):
        first.setdefault(_label(sample), place)
    others = [place for place in range(len(samples)) if place not in first.values()]
    return [*first.values(), *others][:_MOST_STARTS]


def _label(sample: Sample) -> str:
    return next(iter(sample.labels.values()), sample.key)
