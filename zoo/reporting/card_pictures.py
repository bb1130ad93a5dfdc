"""The picture on the card of an entry: the results of its model on held-out samples, as one small PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from zoo.discovery.components import make_dataset
from zoo.discovery.plugins import Plugins
from zoo.errors import DataError
from zoo.models.checkpoint import Checkpoint
from zoo.reporting.pictures import Picture, pictures_of

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH = 640
LARGEST_BYTES = 100_000
_TALLEST, _MARGIN, _LINE, _FONT_SIZE = 1200, 18, 19, 14
_TEXT = (60, 70, 80)
_COLOURS = (256, 128, 64, 32, 16)


def card_png(checkpoint: Checkpoint, plugins: Plugins) -> bytes:
    """Return the card's picture as a PNG of at most ``LARGEST_BYTES``; the same checkpoint gives the same bytes.

    Raises DataError if the model has no results that can be drawn, or the drawing stays too large.
    """
    recipe = checkpoint.recipe
    samples = make_dataset(recipe.data, plugins).split(recipe.evaluation.split)
    pictures = list(pictures_of(checkpoint.model, samples))
    if not pictures:
        raise DataError(
            f"the objective {recipe.spec.objective.name!r} has no graphs that reconstruct, draw from a prior or embed, "
            "so there is nothing to be drawn for the card"
        )
    page = stacked(pictures)
    for colours in _COLOURS:
        stream = io.BytesIO()
        page.quantize(colours).save(stream, "PNG", optimize=True)
        if len(content := stream.getvalue()) <= LARGEST_BYTES:
            return content
    raise DataError(f"the card's picture takes {len(content)} bytes, more than {LARGEST_BYTES}; draw simpler values")


def stacked(pictures: Sequence[Picture]) -> Image:
    """Return the first pictures one below another, each under its title, as many as fit, but at least one."""
    from PIL import Image as images, ImageDraw, ImageFont

    font = ImageFont.load_default(_FONT_SIZE)
    page = images.new("RGB", (WIDTH, _TALLEST), "white")
    canvas = ImageDraw.Draw(page)
    top = _MARGIN
    for place, picture in enumerate(pictures):
        lines = _wrapped(picture.title, font.getlength)
        drawn = picture.image
        if drawn.width > WIDTH - 2 * _MARGIN:
            drawn = drawn.resize((WIDTH - 2 * _MARGIN, drawn.height * (WIDTH - 2 * _MARGIN) // drawn.width))
        below = top + _LINE * len(lines) + drawn.height + _MARGIN
        if place and below > _TALLEST:
            break
        for line in lines:
            canvas.text((_MARGIN, top), line, fill=_TEXT, font=font)
            top += _LINE
        page.paste(drawn, (_MARGIN, top))
        top = below
    return page.crop((0, 0, WIDTH, min(top, _TALLEST)))


def _wrapped(text: str, length: Callable[[str], float]) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and length(longer) > WIDTH - 2 * _MARGIN:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
