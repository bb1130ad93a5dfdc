"""Draws emoji with a colour font, joined sequences (flags, families) included.

Pillow joins the code points of a sequence only if the system has the library FriBiDi. So the glyph of each emoji is
looked up here, in the font's own tables, and a copy of the font gets a character map that leads from one private code
point to each glyph. The pictures are the same with and without the library.

Source: OpenType specification 1.9, chapters "cmap" (format 12) and "GSUB" (lookup type 4, format 1).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from zoo import DataError

_PRIVATE = 0xF0000
_VARIATION_SELECTOR = 0xFE0F
_CELL_PIXELS = 72
_FONT_PIXELS = 56


def draw_emoji(font: Path, emoji: Sequence[str], *, size: int) -> list[Image.Image]:
    """Return a square picture of each emoji, ``size`` pixels wide, on white.

    They are drawn at 72 pixels, or at ``size`` if that is more, and then reduced. Raises DataError if the font has no
    glyph for one of them.
    """
    content = font.read_bytes()
    cell = max(_CELL_PIXELS, size)
    mapped = io.BytesIO(_with_character_map(content, _glyphs(content, emoji)))
    drawn_with = ImageFont.truetype(mapped, _FONT_PIXELS * cell / _CELL_PIXELS, layout_engine=ImageFont.Layout.BASIC)
    pictures = []
    for position in range(len(emoji)):
        picture = Image.new("RGB", (cell, cell), "white")
        ImageDraw.Draw(picture).text(
            (cell / 2, cell / 2), chr(_PRIVATE + position), font=drawn_with, embedded_color=True, anchor="mm"
        )
        pictures.append(picture.resize((size, size), Image.Resampling.LANCZOS))
    return pictures


def _glyphs(font: bytes, emoji: Sequence[str]) -> list[int]:
    """Return the number of the glyph that each emoji is drawn with."""
    characters = dict(_characters(font, _table(font, b"cmap")))
    # A single glyph is a sequence of one.
    sequences = {(glyph,): glyph for glyph in characters.values()} | dict(_ligatures(font, _table(font, b"GSUB")))
    found = []
    for one in emoji:
        # Fonts may leave out the variation selector, which only asks for colour.
        shorter = [character for character in one if ord(character) != _VARIATION_SELECTOR]
        for spelling in (one, shorter):
            glyph = sequences.get(tuple(characters.get(ord(character), 0) for character in spelling))
            if glyph is not None:
                found.append(glyph)
                break
        else:
            raise DataError(
                f"the emoji font has no picture of {one!r}; install the version that modalzoo-datasets asks for"
            )
    return found


def _table(font: bytes, tag: bytes) -> int:
    """Return where a table starts."""
    offset = _entry(font, tag) + 8
    return int(struct.unpack_from(">L", font, offset)[0])


def _entry(font: bytes, tag: bytes) -> int:
    """Return where the font's directory holds the entry of a table: tag, checksum, offset, length."""
    (count,) = struct.unpack_from(">H", font, 4)
    return next(at for at in range(12, 12 + 16 * count, 16) if font[at : at + 4] == tag)


def _characters(font: bytes, cmap: int) -> Iterator[tuple[int, int]]:
    """Yield each code point with its glyph, from the map in format 12."""
    (count,) = struct.unpack_from(">H", font, cmap + 2)
    maps = [cmap + struct.unpack_from(">L", font, cmap + 8 + 8 * index)[0] for index in range(count)]
    full = next(at for at in maps if struct.unpack_from(">H", font, at) == (12,))
    (groups,) = struct.unpack_from(">L", font, full + 12)
    for first, last, glyph in struct.iter_unpack(">LLL", font[full + 16 : full + 16 + 12 * groups]):
        for character in range(first, last + 1):
            yield character, glyph + character - first


def _ligatures(font: bytes, gsub: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield each sequence of glyphs that the font joins, with the glyph that stands for it."""
    lookups = gsub + _number(font, gsub + 8)
    for lookup in (lookups + offset for offset in _numbers(font, lookups)):
        for table in (lookup + offset for offset in _numbers(font, lookup + 4)):
            first_glyphs = _numbers(font, table + _number(font, table + 2) + 2)
            for first, offset in zip(first_glyphs, _numbers(font, table + 4), strict=True):
                for ligature in (table + offset + further for further in _numbers(font, table + offset)):
                    glyph, length = struct.unpack_from(">HH", font, ligature)
                    yield (first, *struct.unpack_from(f">{length - 1}H", font, ligature + 4)), glyph


def _number(font: bytes, at: int) -> int:
    return int(struct.unpack_from(">H", font, at)[0])


def _numbers(font: bytes, at: int) -> tuple[int, ...]:
    """Return a list as OpenType writes it: its length, then its 16-bit numbers."""
    return struct.unpack_from(f">{_number(font, at)}H", font, at + 2)


def _with_character_map(font: bytes, glyphs: Sequence[int]) -> bytes:
    """Return the font with a character map that leads from the private code points to ``glyphs``, in that order."""
    groups = b"".join(
        struct.pack(">LLL", _PRIVATE + position, _PRIVATE + position, glyph) for position, glyph in enumerate(glyphs)
    )
    full = struct.pack(">HHLLL", 12, 0, 16 + len(groups), 0, len(glyphs)) + groups
    cmap = struct.pack(">HHHHL", 0, 1, 3, 10, 12) + full
    entry = _entry(font, b"cmap")
    directory = font[: entry + 4] + struct.pack(">LLL", 0, len(font), len(cmap)) + font[entry + 16 :]
    return directory + cmap
