"""Sheets of drawn values: tiles in rows, whatever the modality. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

TILE = 96
_GAP = 4
_WIDE, _LOWEST = 2 * TILE + _GAP, TILE // 4
_RIGHT = (21, 128, 61)


def sheet(rows: Sequence[Sequence[Image]], *, framed: Sequence[tuple[int, int]] = (), rows_together: int = 1) -> Image:
    """Return drawn values in rows, each fitted into a tile; those at ``framed`` (row, column) get a green frame.

    A column with a line of text is two tiles wide; a row of such lines is lower than a tile. After every
    ``rows_together`` rows there is a small gap.
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


def per_row(drawn: Sequence[Image], most: int) -> int:
    """Return the number of drawn values per row: half as many if some are lines of text."""
    return (most + 1) // 2 if _has_lines(map(_tile, drawn)) else most


def _tile(drawn: Image) -> Image:
    """Return a drawn value at the size of a tile; a larger one first loses its white margins, to keep text legible."""
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
