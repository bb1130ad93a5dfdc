"""Log-mel spectrograms, with NumPy: the constants of the graph, and the way back to a sound.

There is a frame around every sample that is a multiple of ``hop``. It is weighted by a Hann window of ``window``
samples, of which the first is zero. Power is scaled so that a sine at full scale has 1 at its frequency; ``FLOOR`` is
added before the logarithm.

Sources: the mel scale of O'Shaughnessy 1987 as HTK has it, m = 2595 log10(1 + f / 700), with triangles of height 1; for
the way back Perraudin, Balazs & Søndergaard 2013, "A fast Griffin-Lim algorithm", algorithm 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# -80 dB of a sine at full scale: below speech, above the rounding of 16 bits.
FLOOR = 1e-8
_MOMENTUM = 0.99
_ITERATIONS = 48

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MelScale:
    """The sizes of a log-mel spectrogram; ``window`` is an even number of samples."""

    sample_rate_hz: int
    bands: int
    window: int
    hop: int

    def frames(self, samples: int) -> int:
        """Return how many frames ``samples`` have."""
        return -(-samples // self.hop)

    def kernels(self) -> Floats:
        """Return windowed sines and cosines, (2 * bins, window - 1): all cosines first.

        They leave out the window's first sample, which is zero, and the frequencies that no band contains: zero and
        half the sample rate.
        """
        places = np.arange(1, self.window)
        turns = np.outer(np.arange(1, self.window // 2), places) % self.window  # whole, so the angles are exact
        angles = turns * (2 * np.pi / self.window)
        scale = 2 / self._hann().sum()
        waves: Floats = np.concatenate([np.cos(angles), np.sin(angles)]) * self._hann()[1:] * scale
        return waves

    def filters(self) -> Floats:
        """Return the weight of each frequency in each band, (bands, bins)."""
        frequencies = np.arange(1, self.window // 2) * (self.sample_rate_hz / self.window)
        edges = _hertz(np.linspace(0, _mel(self.sample_rate_hz / 2), self.bands + 2))
        rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
        falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
        return np.clip(np.minimum(rising, falling), 0, None)

    def log_mel(self, sound: NDArray[np.floating]) -> Floats:
        """Return the spectrogram of a sound, (bands, frames)."""
        padded = np.pad(sound.astype(np.float64), (self.window // 2 - 1, self.window // 2 - 1))
        framed = np.lib.stride_tricks.sliding_window_view(padded, self.window - 1)[:: self.hop]
        cosines, sines = np.split(self.kernels() @ framed.T, 2)
        log_mel: Floats = np.log(self.filters() @ (cosines**2 + sines**2) + FLOOR)
        return log_mel

    def sound(self, log_mel: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return a sound for listening, with approximately this spectrogram.

        The power of each frequency is estimated from the bands, by the pseudo-inverse of the filters, and is never
        below zero. Phases are found by Griffin-Lim's algorithm, beginning with phases of zero, so the same spectrogram
        always gives the same sound. A sound louder than full scale is scaled down.
        """
        power = np.maximum(np.exp(log_mel.astype(np.float64)) - FLOOR, 0)
        inside = np.sqrt(np.maximum(np.linalg.pinv(self.filters()) @ power, 0)) * (self._hann().sum() / 2)
        magnitude = np.pad(inside, ((1, 1), (0, 0))).T  # frame, bin
        phases, previous = np.ones_like(magnitude, dtype=np.complex128), np.zeros_like(magnitude, dtype=np.complex128)
        for _ in range(_ITERATIONS):
            consistent = self._analysed(self._added(magnitude * phases))
            ahead = consistent + _MOMENTUM * (consistent - previous)
            phases, previous = ahead / np.maximum(np.abs(ahead), 1e-16), consistent
        sound = self._added(magnitude * phases)
        middle = sound[self.window // 2 : self.window // 2 + len(magnitude) * self.hop]
        quiet: NDArray[np.float32] = (middle / max(1, np.abs(middle).max(initial=0))).astype(np.float32)
        return quiet

    def _hann(self) -> Floats:
        return np.asarray(0.5 - 0.5 * np.cos(np.arange(self.window) * (2 * np.pi / self.window)))

    def _analysed(self, sound: Floats) -> NDArray[np.complex128]:
        framed = np.lib.stride_tricks.sliding_window_view(sound, self.window)[:: self.hop]
        return np.fft.rfft(framed * self._hann(), axis=1)

    def _added(self, spectrum: NDArray[np.complex128]) -> Floats:
        """Return the sound whose frames come nearest to ``spectrum``: overlapped, added, and divided by the windows."""
        frames = np.fft.irfft(spectrum, n=self.window, axis=1) * self._hann()
        length = (len(frames) - 1) * self.hop + self.window
        places = np.arange(len(frames))[:, None] * self.hop + np.arange(self.window)
        total, weight = np.zeros(length), np.zeros(length)
        np.add.at(total, places, frames)
        np.add.at(weight, places, np.broadcast_to(self._hann() ** 2, frames.shape))
        return np.asarray(total / np.maximum(weight, 1e-3))


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: Floats) -> Floats:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
