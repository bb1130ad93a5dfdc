"""Many small pictures in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

_LARGEST_SIDE = 96
_COLUMNS = 48
_COLOURS = 256


def write_tiles(drawn: Sequence[Image], path: Path) -> dict[str, Any]:
    """Write pictures as tiles of one PNG, row by row, and return their places in it.

    A tile is as large as the first picture, up to 96 pixels; every picture is fitted into its tile, on white.
    """
    from PIL import Image as images, ImageOps

    side = min(_LARGEST_SIDE, max(drawn[0].size))
    columns = min(_COLUMNS, len(drawn))
    sheet = images.new("RGB", (columns * side, -(-len(drawn) // columns) * side), "white")
    for place, picture in enumerate(drawn):
        tile = ImageOps.pad(picture.convert("RGB"), (side, side), images.Resampling.LANCZOS, color="white")
        sheet.paste(tile, (place % columns * side, place // columns * side))
    sheet.quantize(_COLOURS, dither=images.Dither.NONE).save(path, "PNG", optimize=True)
    return {"file": path.name, "side": side, "columns": columns, "count": len(drawn)}
