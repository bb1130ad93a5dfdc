"""Emoji with their names, written and spoken: the pictures and names of ``openmoji``, said by espeak-ng."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from annotated_types import Interval, MinLen
from numpy.typing import NDArray

from zoo import Sample, SpecError
from zoo_datasets.espeak import RATE_HZ, Utterance, spoken
from zoo_datasets.openmoji import OpenMoji

# Accents, and variants by their breadth of voice: women, men.
VOICES: Mapping[str, tuple[str, ...]] = {
    "en": ("en-us", "en-us+f2", "en-us+m3", "en-gb-scotland", "en-gb-scotland+f3", "en-029"),
    "zh": ("cmn", "cmn+f2", "cmn+m3", "cmn+f3"),
}


@dataclass(frozen=True)
class SpokenEmoji:
    """1,914 emoji: a ``picture``, its name as ``caption``, and the spoken name as ``speech``.

    There is one sample per language; ``languages`` are English and Mandarin. The splits are those of ``openmoji``. Each
    name is said by one of a few voices, which its key decides. ``speech`` is a pair: samples of 16 bits and their rate.
    """

    languages: Annotated[tuple[str, ...], MinLen(1)] = ("en", "zh")
    size: Annotated[int, Interval(ge=8, le=512)] = 32

    license = "CC-BY-SA-4.0 (OpenMoji pictures); BSD-3-Clause (emoji names); spoken by espeak-ng, GPL-3.0-or-later"

    def __post_init__(self) -> None:
        unspoken = [language for language in self.languages if language not in VOICES]
        if unspoken:
            raise SpecError(f"the option 'languages': no voice for {unspoken[0]!r}; available: {', '.join(VOICES)}")
        OpenMoji(self.languages, self.size)

    @property
    def inputs(self) -> Mapping[str, str]:
        """A picture, a caption and speech."""
        return {"picture": "image", "caption": "text", "speech": "audio"}

    def split(self, name: str) -> Sequence[Sample]:
        """Return the samples of one split; its names are spoken on first use, which takes a few seconds.

        Raises MissingExtraError if espeak-ng is not installed.
        """
        written = OpenMoji(self.languages, self.size).split(name)
        said = {language: _said(name, language) for language in self.languages}
        return [_with_speech(sample, said[sample.labels["language"]][sample.key]) for sample in written]


def _with_speech(sample: Sample, said: tuple[str, NDArray[np.int16]]) -> Sample:
    voice, sound = said
    inputs = {**sample.inputs, "speech": (sound, RATE_HZ)}
    return replace(sample, inputs=inputs, labels={**sample.labels, "voice": voice})


@functools.cache
def _said(split: str, language: str) -> Mapping[str, tuple[str, NDArray[np.int16]]]:
    """Return the voice and sound of each sample by its key; always a whole split, since the order affects sounds."""
    samples = OpenMoji((language,)).split(split)
    voices = [_voice(sample.key, language) for sample in samples]
    sounds = spoken([Utterance(s.inputs["caption"], voice) for s, voice in zip(samples, voices, strict=True)])
    return {s.key: (voice, sound) for s, voice, sound in zip(samples, voices, sounds, strict=True)}


def _voice(key: str, language: str) -> str:
    """Return one of the voices of a language, chosen by the sha256 of the sample's key, modulo their number."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return VOICES[language][number % len(VOICES[language])]
