"""Reads pictures: a file, an array or a Pillow image of any mode becomes upright and loses its alpha channel."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from zoo import DataError, LibraryMessages, library_messages

LARGEST_PIXELS = 2**26
# Listed, so that no other decoder of Pillow runs on an untrusted file: one of them starts a PostScript interpreter.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = frozenset(
    (".bmp", ".gif", ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".pbm", ".pgm", ".pnm", ".ppm", ".tif", ".tiff", ".webp")
)
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error)
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_EXPECTED = "a Pillow image, an array of uint8, (height, width) or (height, width, 3 or 4), or the path of a picture"


def picture_of(value: Any, position: int) -> Image.Image:
    """Return a raw value as a picture of mode L or RGB: upright, transparent parts white, 16 bits scaled to 8.

    Grey levels stored as integers of 32 bits count as 16 bits. From an animation the first frame is read. ``position``
    is for the message. Raises DataError if ``value`` is not a picture, if a file is missing, broken or of another
    format, or if there are no pixels or more than ``LARGEST_PIXELS``.
    """
    if isinstance(value, str | Path):
        return _opened(Path(value), f"picture {position} ({value})")
    if isinstance(value, Image.Image):
        return _decoded(value, f"picture {position} (a Pillow image)")
    return _decoded(_from_array(value, f"picture {position}"), f"picture {position} (an array)")


def _opened(path: Path, what: str) -> Image.Image:
    try:
        with Image.open(path, formats=FORMATS) as image:
            return _decoded(image, what, ours=True)
    except FileNotFoundError as error:
        raise DataError(f"{what}: there is no file {path.absolute()}; correct the path") from error
    except _TOO_LARGE as error:
        raise DataError(f"{what}: {_too_large()}: {error}") from error
    except _BROKEN as error:
        raise DataError(f"{what}: cannot be read as a picture of {', '.join(FORMATS)}: {error}") from error


def _from_array(value: Any, what: str) -> Image.Image:
    if not isinstance(value, np.ndarray):
        raise DataError(f"{what}: expected {_EXPECTED}; got {type(value).__name__}")
    fits = value.ndim == 2 or (value.ndim == 3 and value.shape[2] in (3, 4))
    if value.dtype != np.uint8 or not fits or value.size == 0:
        raise DataError(f"{what}: expected {_EXPECTED}; got an array of {value.dtype} and shape {value.shape}")
    return Image.fromarray(np.ascontiguousarray(value))


def _decoded(image: Image.Image, what: str, *, ours: bool = False) -> Image.Image:
    """Return a picture turned upright: in place if it is ``ours``, else as a copy."""
    pixels = image.width * image.height
    if pixels > LARGEST_PIXELS:
        raise DataError(f"{what}: {_too_large()}: it has {image.width} by {image.height}")
    if pixels == 0:
        raise DataError(f"{what}: expected at least one pixel, it has {image.width} by {image.height}; leave it out")
    said = LibraryMessages()
    try:
        if image.format == "TIFF":
            with library_messages() as said:
                image.load()
        upright = image if ours else image.copy()
        ImageOps.exif_transpose(upright, in_place=True)
        return _without_alpha(_eight_bits(upright, what))
    except _BROKEN as error:
        raise DataError(f"{what}: cannot be decoded: {said.beside(error)}") from error


def _eight_bits(image: Image.Image, what: str) -> Image.Image:
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    levels = np.asarray(image)
    if image.mode == "F" or levels.min() < 0 or levels.max() > 65535:
        raise DataError(f"{what}: its grey levels have no known range; expected 8 or 16 bits, save it as such")
    grey = Image.fromarray(np.rint(levels / 257).astype(np.uint8))
    if "transparency" in image.info:
        grey.putalpha(Image.fromarray(levels != image.info["transparency"]).convert("L"))
    return grey


def _without_alpha(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB")


def _too_large() -> str:
    return f"expected at most {LARGEST_PIXELS} pixels, shrink it first"
