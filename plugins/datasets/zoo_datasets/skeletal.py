"""Draws a molecule as chemists do: bonds as lines, carbon where they meet, other atoms as discs of their colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

_FINER = 4  # drawn so much larger, then shrunk, for smooth lines
_MARGIN = 0.08
_LONGEST_BOND = 0.22  # shares of the side, so that a small molecule does not fill the picture
_APART, _RADIUS, _LINE = 0.16, 0.3, 0.09  # shares of a bond
_COLOURS = {
    "N": "#3b6fe0",
    "O": "#e03a2f",
    "F": "#86d96b",
    "P": "#f08c1a",
    "S": "#e0b81c",
    "Cl": "#2fb344",
    "Br": "#a5482a",
    "I": "#7b3fb0",
}
_OTHER_COLOUR = "#6b7280"


def draw_molecule(
    elements: Sequence[str],
    bonds: Sequence[tuple[int, int, int]],
    places: Sequence[tuple[float, float]],
    *,
    size: int,
) -> NDArray[np.uint8]:
    """Return a picture, (size, size, 3), of atoms at ``places``; a bond is two atoms and its order."""
    side = size * _FINER
    given = np.array(places)
    low, high = given.min(axis=0), given.max(axis=0)
    lengths = [float(np.linalg.norm(given[first] - given[second])) for first, second, _ in bonds]
    bond = float(np.median(lengths)) if lengths else 1.0
    scale = min((1 - 2 * _MARGIN) / max(float((high - low).max()), 1e-9), _LONGEST_BOND / bond) * side
    centres = (given - (low + high) / 2) * [scale, -scale] + side / 2
    picture = Image.new("RGB", (side, side), "white")
    canvas = ImageDraw.Draw(picture)
    for first, second, order in bonds:
        _draw_bond(canvas, centres[first], centres[second], order, scale * bond)
    for element, centre in zip(elements, centres, strict=True):
        if element != "C":
            corners = [*(centre - _RADIUS * scale * bond).tolist(), *(centre + _RADIUS * scale * bond).tolist()]
            canvas.ellipse(corners, fill=_COLOURS.get(element, _OTHER_COLOUR))
    return np.asarray(picture.reduce(_FINER))


def _draw_bond(
    canvas: ImageDraw.ImageDraw, first: NDArray[np.float64], second: NDArray[np.float64], order: int, length: float
) -> None:
    along = (second - first) / max(float(np.linalg.norm(second - first)), 1e-9)
    across = np.array([-along[1], along[0]]) * length * _APART
    for line in range(order):
        shift = across * (line - (order - 1) / 2)
        ends = [*(first + shift).tolist(), *(second + shift).tolist()]
        canvas.line(ends, fill="black", width=max(_FINER, round(length * _LINE)))
