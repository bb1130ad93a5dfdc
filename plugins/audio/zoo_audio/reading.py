"""Reads sounds: a file, samples with their rate, or samples alone; mixes them down and resamples them."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from zoo import DataError, LibraryMessages, UsageError, library_messages
from zoo_audio.containers import NAMES, QUIET, UNKNOWN_FRAMES, is_cut_short

MOST_CHANNELS = 64
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 768_000
LOUDEST = 8.0
# Read past the cut, since the filter that resamples needs the samples after it.
_MARGIN_SECONDS = 0.05
_KNOWN = ", ".join(dict.fromkeys(NAMES.values()))
_EXPECTED = (
    "the path of a sound file, a pair (samples, sample rate), or samples alone at the model's rate; samples are float "
    "from -1 to 1 or int16, int32 or uint8, of shape (samples,) or (samples, channels)"
)


@dataclass(frozen=True)
class Reader:
    """Reads sounds at ``sample_rate_hz``; longer ones are truncated to ``most_samples``."""

    sample_rate_hz: int
    most_samples: int

    def read(self, value: Any, position: int) -> NDArray[np.float32]:
        """Return a raw value as samples of one channel, at least one of them.

        ``position`` is for the message. Raises DataError if ``value`` is not a sound, if a file is missing, broken or
        cut short, or if there are no samples or one is not finite.
        """
        if isinstance(value, str | Path):
            what = f"sound {position} ({value})"
            samples, rate_hz = self._opened(Path(value), what)
        else:
            what = f"sound {position}"
            samples, rate_hz = self._given(value, what)
        mono = _mono(samples[: self._enough(rate_hz)], what)
        if rate_hz == self.sample_rate_hz:
            return mono[: self.most_samples]
        resampled = soxr.resample(mono, rate_hz, self.sample_rate_hz)[: self.most_samples]
        return resampled if len(resampled) else mono[:1]

    def cuts(self, value: Any, position: int) -> bool:
        """Return whether ``read`` truncates a raw value."""
        if isinstance(value, str | Path):
            about = soundfile.info(value)
            length, rate_hz = about.frames, float(about.samplerate)
        else:
            samples, rate_hz = self._given(value, f"sound {position}")
            length = len(samples)
        return bool(round(length * self.sample_rate_hz / rate_hz) > self.most_samples)

    def _enough(self, rate_hz: float) -> int:
        """Return how many samples of a sound at ``rate_hz`` are read, with a margin."""
        return math.ceil((self.most_samples / self.sample_rate_hz + _MARGIN_SECONDS) * rate_hz)

    def _opened(self, path: Path, what: str) -> tuple[NDArray[Any], float]:
        if not os.path.isfile(path):
            raise DataError(f"{what}: there is no file {path.absolute()}; correct the path")
        said = LibraryMessages()
        try:
            with path.open("rb") as stream:
                quiet = stream.read(4) in QUIET
            if quiet:
                return self._decoded(path, what)
            with library_messages() as said:
                return self._decoded(path, what)
        except soundfile.SoundFileError as error:
            raise DataError(f"{what}: cannot be read as {_KNOWN}: {said.beside(error)}") from error
        except OSError as error:
            raise DataError(f"{what}: cannot be read: {error.strerror}") from error

    def _decoded(self, path: Path, what: str) -> tuple[NDArray[Any], float]:
        with _Forward(path) as file:
            if file.format not in NAMES:
                raise DataError(f"{what}: cannot be read as {_KNOWN}: it is {file.format_info}; save it as WAV")
            enough = self._enough(file.samplerate)
            samples = file.read(frames=min(file.frames, enough), dtype="float32", always_2d=True)
            whole = len(samples) == min(file.frames, enough) or file.frames == UNKNOWN_FRAMES
            with path.open("rb") as stream:
                if not whole or is_cut_short(stream, file.format):
                    raise DataError(f"{what}: ends before the length that it states; copy or download it again")
            return samples, file.samplerate

    def _given(self, value: Any, what: str) -> tuple[NDArray[Any], float]:
        samples, rate_hz = value if isinstance(value, tuple) and len(value) == 2 else (value, self.sample_rate_hz)
        if not isinstance(samples, np.ndarray):
            raise DataError(f"{what}: expected {_EXPECTED}; got {_kinds(value)}")
        if isinstance(rate_hz, bool) or not isinstance(rate_hz, Real):
            raise DataError(f"{what}: expected a sample rate in Hz, got {_kinds(rate_hz)}; give (samples, sample rate)")
        if not LOWEST_RATE_HZ <= float(rate_hz) <= HIGHEST_RATE_HZ:
            raise DataError(
                f"{what}: expected a sample rate from {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz, got {rate_hz}"
            )
        fits = samples.ndim == 1 or (samples.ndim == 2 and 1 <= samples.shape[1] <= MOST_CHANNELS)
        if not fits or not (samples.dtype in (np.int16, np.int32, np.uint8) or samples.dtype.kind == "f"):
            raise DataError(
                f"{what}: expected {_EXPECTED}; got an array of {samples.dtype} and shape {samples.shape}"
                + ("; transpose it" if samples.ndim == 2 and not fits else "")
            )
        return samples, float(rate_hz)


class _Forward(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """A file that is read once from its beginning: FLAC of unknown length cannot be sought in."""

    def seekable(self) -> bool:
        return False


def refuse_lone(values: Any) -> None:
    """Raise UsageError if ``values`` may be one sound: its samples, or a pair, would be taken for sounds.

    An array of several sounds is (row, samples), with more samples than a sound has channels.
    """
    is_pair = isinstance(values, tuple) and len(values) == 2 and isinstance(values[1], Real)
    is_array = isinstance(values, np.ndarray) and values.dtype != object
    if is_pair or (is_array and (values.ndim == 1 or (values.ndim == 2 and values.shape[1] <= MOST_CHANNELS))):
        came = "pair (samples, sample rate)" if is_pair else f"array of shape {values.shape}, which is one sound"
        raise UsageError(f"sounds: expected a list of values, got one {came}; give [sound]")


def _mono(samples: NDArray[Any], what: str) -> NDArray[np.float32]:
    if not len(samples):
        raise DataError(f"{what}: expected at least one sample, it has none; leave it out")
    mono = _scaled(samples, what).reshape(len(samples), -1).mean(axis=1, dtype=np.float32)
    return np.ascontiguousarray(mono)


def _scaled(samples: NDArray[Any], what: str) -> NDArray[np.float32]:
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / np.float32(128)
    if samples.dtype.kind == "i":
        return samples.astype(np.float32) / np.float32(-float(np.iinfo(samples.dtype).min))
    wrong = np.flatnonzero(~np.isfinite(samples).reshape(len(samples), -1).all(axis=1))
    if len(wrong):
        raise DataError(
            f"{what}: sample {wrong[0]} is not a finite number ({len(wrong)} in all); repair it or leave it out"
        )
    loudest = float(np.abs(samples).max())
    if loudest > LOUDEST:
        raise DataError(
            f"{what}: expected float samples from -1 to 1, got {loudest:.6g}; divide them by the full scale"
        )
    return samples.astype(np.float32)


def _kinds(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {', '.join(type(part).__name__ for part in value) or 'nothing'}"
    return type(value).__name__
