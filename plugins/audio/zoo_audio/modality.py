"""The modality ``audio``: sounds as samples of one rate, padded, and a mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
import soundfile
from annotated_types import Ge, Interval
from numpy.typing import NDArray

from zoo import Axis, DataError, SpecError, TensorSpec, listed
from zoo_audio.containers import SUFFIXES
from zoo_audio.drawing import picture_of
from zoo_audio.mel import MelScale
from zoo_audio.reading import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, Reader, refuse_lone

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

Array = NDArray[Any]
LONGEST_SECONDS = 600


@dataclass(frozen=True)
class AudioModality:
    """Sounds of at most ``seconds``, as samples at ``sample_rate_hz``.

    A raw value is the path of a sound file, a pair of samples and their rate, or samples alone at the modality's rate.
    Several channels are mixed down, another rate is resampled, and longer sounds are truncated. Silence is a sound; a
    sound without samples is refused.

    Models that read log-mel spectrograms compute them inside the graph, as ``mel_bands`` every ``hop_ms``, from windows
    of ``window_ms``.

    Raises SpecError if two sizes do not fit each other.
    """

    length_option: ClassVar[str] = "seconds"
    vocabulary_option: ClassVar[str] = ""

    sample_rate_hz: Annotated[int, Interval(ge=LOWEST_RATE_HZ, le=HIGHEST_RATE_HZ)] = 16_000
    seconds: Annotated[float, Interval(gt=0, le=LONGEST_SECONDS)] = 2.0
    mel_bands: Annotated[int, Ge(1)] = 64
    window_ms: Annotated[float, Interval(ge=1, le=1000)] = 32.0
    hop_ms: Annotated[float, Interval(ge=1, le=1000)] = 10.0

    def __post_init__(self) -> None:
        """Check that the options fit each other."""
        if self.most_samples < 1:
            raise SpecError(
                f"the option 'seconds' is at least one sample of 'sample_rate_hz', got seconds {self.seconds} and "
                f"sample_rate_hz {self.sample_rate_hz}"
            )
        if self.hop_ms > self.window_ms / 2:
            raise SpecError(
                f"the option 'hop_ms' is at most half of 'window_ms', so that every sample is in a frame, got hop_ms "
                f"{self.hop_ms} and window_ms {self.window_ms}"
            )
        if not self.mel.filters().any(axis=1).all():
            raise SpecError(
                f"each band of the option 'mel_bands' holds a frequency of 'window_ms', got mel_bands {self.mel_bands} "
                f"and window_ms {self.window_ms}; take fewer bands or a longer window"
            )

    @property
    def most_samples(self) -> int:
        """The samples of the longest sound."""
        return round(self.seconds * self.sample_rate_hz)

    @property
    def mel(self) -> MelScale:
        """The sizes of the spectrogram."""
        window = 2 * max(2, round(self.window_ms * self.sample_rate_hz / 2000))
        return MelScale(
            self.sample_rate_hz, self.mel_bands, window, max(1, round(self.hop_ms * self.sample_rate_hz / 1000))
        )

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """``waveform``, full scale at -1 and 1, with zeros as padding, and ``mask``, false in the padding."""
        return {
            "waveform": TensorSpec("float32", ("batch", "samples")),
            "mask": TensorSpec("bool", ("batch", "samples"), 0, 1),
        }

    @property
    def axes(self) -> Mapping[str, Axis]:
        """``samples``."""
        return {"samples": Axis(1, self.most_samples, padded=True)}

    @property
    def file_suffixes(self) -> frozenset[str]:
        """Of the files that ``to_arrays`` reads."""
        return SUFFIXES

    def fit(self, values: Iterable[Any]) -> Self:
        """Return the modality itself: there is nothing to learn."""
        return self

    def state(self) -> Mapping[str, Array]:
        """Return nothing: nothing was learnt."""
        return {}

    def with_state(self, state: Mapping[str, Array]) -> Self:
        """Return the modality itself."""
        return self

    def to_arrays(self, values: Sequence[Any]) -> Mapping[str, Array]:
        """Return waveform and mask, as long as the longest sound.

        Raises DataError, naming the position and the file, if a value is not a sound or a file is broken, and
        UsageError if a single sound is given in place of a list.
        """
        refuse_lone(listed(values, "sounds"))
        rows = [self._reader.read(value, position) for position, value in enumerate(values)]
        longest = max((len(row) for row in rows), default=1)
        waveform = np.zeros((len(rows), longest), np.float32)
        mask = np.zeros((len(rows), longest), np.bool_)
        for position, row in enumerate(rows):
            waveform[position, : len(row)] = row
            mask[position, : len(row)] = True
        return {"waveform": waveform, "mask": mask}

    def truncated(self, values: Sequence[Any], arrays: Mapping[str, Array]) -> list[int]:
        """Return the positions of the sounds that last longer than ``seconds``."""
        full = np.flatnonzero(arrays["mask"].sum(axis=1) == self.most_samples).tolist()
        return [place for place in full if self._reader.cuts(values[place], place)]

    def unknown(self, arrays: Mapping[str, Array]) -> tuple[int, int]:
        """Return zero of zero: there are no tokens."""
        return 0, 0

    def from_arrays(self, arrays: Mapping[str, Array]) -> Sequence[NDArray[np.float32]]:
        """Return sounds at the modality's rate, of ``waveform`` and ``mask`` or of a decoder's ``log_mel``.

        A spectrogram has no phases; they are found by Griffin-Lim's algorithm, for listening. Raises DataError if
        neither is given, or a spectrogram is not finite.
        """
        if "waveform" in arrays:
            return [sound[mask] for sound, mask in zip(arrays["waveform"], arrays["mask"], strict=True)]
        if "log_mel" not in arrays:
            raise DataError(f"expected an array 'waveform' or 'log_mel', got {', '.join(arrays) or 'none'}")
        if not np.isfinite(arrays["log_mel"]).all():
            raise DataError(
                "log_mel holds NaN or infinity, expected finite numbers; look for NaN in the model's inputs"
            )
        return [self.mel.sound(row)[: self.most_samples] for row in arrays["log_mel"]]

    def example(self, batch: int, sizes: Mapping[str, int], *, generator: np.random.Generator) -> Mapping[str, Array]:
        """Draw noise, rows of unequal length and loudness; the first row fills the axis."""
        samples = sizes["samples"]
        lengths = generator.integers(1, samples + 1, size=batch)
        lengths[:1] = samples
        mask = np.arange(samples) < lengths[:, None]
        loudness = generator.uniform(0.01, 1, (batch, 1))
        noise = generator.uniform(-1, 1, (batch, samples)) * loudness
        return {"waveform": np.where(mask, noise, 0).astype(np.float32), "mask": mask}

    @property
    def suffix(self) -> str:
        """Of the files that ``write`` writes."""
        return ".wav"

    def write(self, value: Any, path: Path) -> None:
        """Write a sound as 16-bit WAV at the modality's rate; samples beyond full scale are clipped."""
        samples = np.clip(self._reader.read(value, 0), -1, 1)
        soundfile.write(path, samples, self.sample_rate_hz, subtype="PCM_16")

    def draw(self, value: Any) -> Image:
        """Return the picture of a sound's log-mel spectrogram, truncated as by ``to_arrays``."""
        return picture_of(self._reader.read(value, 0), self.mel)

    @property
    def _reader(self) -> Reader:
        return Reader(self.sample_rate_hz, self.most_samples)
