"""Draws a text as a picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from zoo import normalised
from zoo_text.tokenizers import CJK

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont as BitmapFont

WIDTH = 256
MARGIN = 12
FONT_SIZE = 20
LINE_HEIGHT = 28
MOST_CHARACTERS = 240

_CJK_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "SourceHanSansSC-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "msyh.ttc",
)
_PIECE = re.compile(rf"\s+|[{CJK}]|[^\s{CJK}]+")


def picture_of(text: str) -> Image.Image:
    """Return black text on white, wrapped; the end of a long one is left out.

    Characters that no installed font has are drawn as boxes.
    """
    read = normalised(text, most=MOST_CHARACTERS + 1)  # a lone surrogate cannot be drawn
    shown = read if len(read) <= MOST_CHARACTERS else f"{read[:MOST_CHARACTERS]}…"
    font = _cjk_font() if re.search(f"[{CJK}]", shown) else _font()
    lines = _wrapped(shown, font, WIDTH - 2 * MARGIN)
    picture = Image.new("RGB", (WIDTH, 2 * MARGIN + LINE_HEIGHT * len(lines)), "white")
    canvas = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        canvas.text((MARGIN, MARGIN + LINE_HEIGHT * number), line, fill="black", font=font)
    return picture


def _wrapped(text: str, font: FreeTypeFont | BitmapFont, width: int) -> list[str]:
    lines = [""]
    for piece in _pieces(text, font, width):
        if lines[-1] and font.getlength(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return lines


def _pieces(text: str, font: FreeTypeFont | BitmapFont, width: int) -> Iterator[str]:
    """Yield what may not be broken over lines: words, or the characters of a word longer than a line."""
    for piece in _PIECE.findall(text):
        if piece.isspace():
            yield " "
        elif font.getlength(piece) > width:
            yield from piece
        else:
            yield piece


@cache
def _font() -> FreeTypeFont | BitmapFont:
    return ImageFont.load_default(FONT_SIZE)


@cache
def _cjk_font() -> FreeTypeFont | BitmapFont:
    return next(_installed(_CJK_FONTS), None) or _font()


def _installed(names: Iterable[str]) -> Iterator[FreeTypeFont]:
    for name in names:
        try:
            yield ImageFont.truetype(name, FONT_SIZE)
        except OSError:  # this font is not installed
            continue
