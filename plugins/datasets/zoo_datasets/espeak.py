"""Speaks texts by espeak-ng, from the package ``espeakng-loader``.

The sound that espeak-ng makes of a text depends on all that it said before: its oscillators are never reset, not even
by a new start. So texts are spoken in order by a separate process, which runs this file and ends. The same list gives
the same sounds, bit for bit; and the library, which is under the GPL, is loaded into no other process.
"""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import json
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import DataError, MissingExtraError

RATE_HZ = 22_050
# A fraction of the loudest sample; quieter parts at the ends are not speech.
_QUIET = 0.01

# From espeak-ng's speak_lib.h.
_SYNCHRONOUS, _DO_NOT_EXIT, _BY_CHARACTER, _UTF8, _OK = 2, 0x8000, 1, 1, 0


@dataclass(frozen=True)
class Utterance:
    """A text, and the voice that says it: ``cmn``, or with a variant ``en-us+f2``."""

    text: str
    voice: str


def spoken(utterances: Sequence[Utterance]) -> list[NDArray[np.int16]]:
    """Return the sound of each text, at ``RATE_HZ``, without silence at its beginning and end.

    Raises MissingExtraError if espeak-ng is not installed, DataError if it has no such voice or fails otherwise.
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        remark = ", which makes the speech; it is under the GPL, so it does not come by itself"
        raise MissingExtraError("espeak-ng", ["modalzoo-datasets[speech]"], remark=remark)
    if not utterances:
        return []
    by_voice = sorted(range(len(utterances)), key=lambda place: utterances[place].voice)  # changing it takes time
    asked = json.dumps([[utterances[place].text, utterances[place].voice] for place in by_voice]).encode()
    done = subprocess.run([sys.executable, "-m", __name__], input=asked, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise DataError(
            f"espeak-ng could not speak {len(utterances)} texts: {said[-1]}; install modalzoo-datasets again"
        )
    ends = np.frombuffer(done.stdout, "<u8", count=len(utterances))
    sound = np.frombuffer(done.stdout, "<i2", offset=8 * len(utterances)).astype(np.int16, copy=False)
    sounds = dict(zip(by_voice, np.split(sound, ends[:-1]), strict=True))
    return [_trimmed(sounds[place]) for place in range(len(utterances))]


def _trimmed(sound: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the sound from its first to its last audible sample; one sample of silence if there are none."""
    loudness = np.abs(sound.astype(np.int32))
    heard = np.flatnonzero(loudness > _QUIET * loudness.max(initial=0))
    return sound[heard[0] : heard[-1] + 1] if len(heard) else np.zeros(1, np.int16)


def _started() -> tuple[Callable[[str], None], Callable[[str], bytes]]:
    """Load and start espeak-ng; return a function that sets its voice, and one from a text to 16-bit samples."""
    import espeakng_loader

    espeak = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    if espeak.espeak_Initialize(_SYNCHRONOUS, 0, data, _DO_NOT_EXIT) != RATE_HZ:
        sys.exit(f"it does not start with {data.decode()} at {RATE_HZ} Hz")
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(0))  # it starts from the time of day
    parts: list[bytes] = []

    def take(samples: int | None, count: int, _events: Any) -> int:
        if samples and count > 0:
            parts.append(ctypes.string_at(samples, 2 * count))
        return 0

    called_back = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(take)
    espeak.espeak_SetSynthCallback(called_back)

    def speak(text: str) -> bytes:
        _kept = called_back  # the library holds no reference to it
        parts.clear()
        encoded = text.encode()
        size = ctypes.c_size_t(len(encoded) + 1)
        if espeak.espeak_Synth(encoded, size, 0, _BY_CHARACTER, 0, _UTF8, None, None) != _OK:
            sys.exit(f"it cannot say {text!r}")
        espeak.espeak_Synchronize()
        return b"".join(parts)

    def change_voice(name: str) -> None:
        if espeak.espeak_SetVoiceByName(name.encode()) != _OK:
            sys.exit(f"it has no voice {name!r}")

    return change_voice, speak


def _main() -> None:
    """Read texts and voices as JSON; write where each sound ends, in samples, and then the sounds."""
    change_voice, speak = _started()
    sounds = []
    for voice, asked in itertools.groupby(json.load(sys.stdin.buffer), key=lambda pair: pair[1]):
        change_voice(voice)
        sounds += [speak(text) for text, _ in asked]
    ends = itertools.accumulate(len(sound) // 2 for sound in sounds)
    sys.stdout.buffer.write(struct.pack(f"<{len(sounds)}Q", *ends) + b"".join(sounds))


if __name__ == "__main__":
    _main()
