"""Draws a graph as a picture: atoms in the colours of chemistry, double and triple bonds, or labelled dots."""

from __future__ import annotations

import colorsys
import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from zoo import normalised
from zoo_graph.layout import positions_of

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont as BitmapFont

    from zoo_graph.reading import GraphValue

SIDE_PIXELS = 256
_FINER = 3  # drawn so much larger, then shrunk, for smooth edges
_MARGIN = 0.1
_LARGEST_RADIUS = 0.055  # shares of the side
_BOND_COLOUR = "#6b7280"
_LINES = {"1": 1, "2": 2, "3": 3}

# Corey, Pauling and Koltun's colours, as general use has them.
_ATOMS = {
    "H": "#f3f4f6",
    "B": "#fdba9a",
    "C": "#4b5563",
    "N": "#3b6fe0",
    "O": "#e03a2f",
    "F": "#86d96b",
    "Si": "#d9b98c",
    "P": "#f08c1a",
    "S": "#f0c92e",
    "Cl": "#2fb344",
    "Br": "#a5482a",
    "I": "#7b3fb0",
    "Sn": "#668899",
    "?": "#d1d5db",
}


def picture_of(graph: GraphValue) -> Image.Image:
    """Return a square picture: edges as lines, nodes as discs that bear their labels; carbon bears none."""
    side = SIDE_PIXELS * _FINER
    picture = Image.new("RGB", (side, side), "white")
    if graph.nodes:
        canvas = ImageDraw.Draw(picture)
        places, radius = _places(graph, side)
        for ends, label in zip(graph.edges, graph.labels_of_edges, strict=True):
            _draw_edge(canvas, places[ends[0]], places[ends[1]], label, radius)
        atoms = all(_element(label) in _ATOMS for label in graph.nodes)
        for place, label in zip(places, graph.nodes, strict=True):
            _draw_node(canvas, place, "" if atoms and label == "C" else label, radius, _colour_of(label, atoms=atoms))
    return picture.resize((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.LANCZOS)


def _places(graph: GraphValue, side: int) -> tuple[NDArray[Any], float]:
    """Return where each node lies in the picture, and the radius of a disc."""
    given = positions_of(len(graph.nodes), graph.edges) if graph.positions is None else np.array(graph.positions)
    low, high = given.min(axis=0), given.max(axis=0)
    extent = max(float((high - low).max()), 1e-9)
    scale = min((1 - 2 * _MARGIN) * side / extent, 0.3 * side)  # two nodes alone are not drawn far apart
    places = (given - (low + high) / 2) * [scale, -scale] + side / 2
    lengths = [float(np.linalg.norm(places[first] - places[second])) for first, second in graph.edges]
    radius = min([_LARGEST_RADIUS * side, *(0.3 * length for length in lengths if length > 0)])
    return places, max(radius, 2.0 * _FINER)


def _draw_edge(
    canvas: ImageDraw.ImageDraw, first: NDArray[Any], second: NDArray[Any], label: str, radius: float
) -> None:
    """Draw one line, two or three for a bond; another label is written at the middle of its line."""
    along = (second - first) / max(float(np.linalg.norm(second - first)), 1e-9)
    across = np.array([-along[1], along[0]]) * radius * 0.5
    lines = _LINES.get(label, 1)
    for place in range(lines):
        shift = across * (2 * place - lines + 1) * (0.6 if lines == 2 else 0.5)
        ends = [*(first + shift).tolist(), *(second + shift).tolist()]
        canvas.line(ends, fill=_BOND_COLOUR, width=max(_FINER, round(radius * 0.22)))
    if label and label not in _LINES:
        _write(canvas, (first + second) / 2, label, radius, "black")


def _draw_node(canvas: ImageDraw.ImageDraw, place: NDArray[Any], label: str, radius: float, colour: str) -> None:
    small = radius * (1 if label else 0.6)
    box = [*(place - small).tolist(), *(place + small).tolist()]
    canvas.ellipse(box, fill=colour, outline="#374151", width=max(1, round(radius * 0.06)))
    if label:
        red, green, blue = Image.new("RGB", (1, 1), colour).getpixel((0, 0))  # type: ignore[misc]
        bright = 0.3 * red + 0.59 * green + 0.11 * blue > 150
        _write(canvas, place, label, radius, "black" if bright else "white")


def _write(canvas: ImageDraw.ImageDraw, place: NDArray[Any], label: str, radius: float, colour: str) -> None:
    label = normalised(label)  # a lone surrogate cannot be drawn
    shown = label if len(label) <= 8 else f"{label[:7]}…"
    size = max(8, round(radius * (1.3 if len(shown) < 3 else 2.2 / len(shown) + 0.4)))
    canvas.text((float(place[0]), float(place[1])), shown, fill=colour, font=_font(size), anchor="mm")


def _element(label: str) -> str:
    """Return the label without a charge."""
    return "?" if label == "\N{REPLACEMENT CHARACTER}" else label.rstrip("+-0123456789")


def _colour_of(label: str, *, atoms: bool) -> str:
    """Return an atom's colour, or a light one of the label's own."""
    if atoms:
        return _ATOMS[_element(label)]
    hue = hashlib.sha256(normalised(label).encode()).digest()[0] / 256
    red, green, blue = (round(255 * one) for one in colorsys.hls_to_rgb(hue, 0.78, 0.6))
    return f"#{red:02x}{green:02x}{blue:02x}"


@cache
def _font(size: int) -> FreeTypeFont | BitmapFont:
    return ImageFont.load_default(size)
