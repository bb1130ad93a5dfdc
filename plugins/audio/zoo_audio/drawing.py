"""Draws a sound as the picture of its spectrogram."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from zoo_audio.mel import FLOOR, MelScale

WIDTH, HEIGHT = 256, 128
STRIP, FONT_SIZE = 16, 11
DECIBELS = 60
# Of the colour map "magma" by Smith and van der Walt (CC0): brightness rises evenly, for the colour-blind too.
_COLOURS = np.array(
    [
        *[(0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122)],
        *[(229, 80, 100), (251, 135, 97), (254, 194, 135), (252, 253, 191)],
    ]
)
_STEPS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_MOST_TICKS = 6


def picture_of(sound: NDArray[np.floating], scale: MelScale) -> Image.Image:
    """Return the log-mel spectrogram, low tones below, with seconds along its lower edge.

    The loudest place is the brightest, except in sounds that are faint throughout. Places ``DECIBELS`` quieter are
    black, and so is silence.
    """
    log_mel = scale.log_mel(sound)
    reach = np.log(10) / 10 * DECIBELS
    brightness = np.clip(1 + (log_mel - max(log_mel.max(), np.log(FLOOR) + reach)) / reach, 0, 1)
    spectrogram = Image.fromarray(_coloured(brightness[::-1])).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    picture = Image.new("RGB", (WIDTH, HEIGHT + STRIP), "white")
    picture.paste(spectrogram)
    _draw_seconds(picture, len(sound) / scale.sample_rate_hz)
    return picture


def _coloured(brightness: NDArray[np.floating]) -> NDArray[np.uint8]:
    stops = np.linspace(0, 1, len(_COLOURS))
    channels = [np.interp(brightness, stops, _COLOURS[:, channel]) for channel in range(3)]
    return np.asarray(np.rint(np.stack(channels, axis=-1)), np.uint8)


def _draw_seconds(picture: Image.Image, seconds: float) -> None:
    step = next((step for step in _STEPS_S if seconds / step < _MOST_TICKS), _STEPS_S[-1])
    canvas, font = ImageDraw.Draw(picture), ImageFont.load_default(FONT_SIZE)
    for number in range(int(seconds / step) + 1):
        x = number * step / seconds * WIDTH
        canvas.line((x, HEIGHT, x, HEIGHT + 3), fill="black")
        label = f"{number * step:g}" if number else "0 s"
        left = min(x + 2, WIDTH - font.getlength(label))
        canvas.text((left, HEIGHT + 2), label, fill="black", font=font)
