"""How long training waits for its files: decoding by threads and by worker processes, and what was kept."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from zoo_audio.modality import AudioModality
from zoo_datasets.folder import Folder
from zoo_image.modality import ImageModality

from benchmarks.measuring import Comparison, alternating, timed
from zoo import Modality, Sample
from zoo.models.batches import load_rows
from zoo.samples.decoded_cache import VARIABLE
from zoo.samples.decoding import Reading

PICTURES, FEW_PICTURES, SOUNDS = 50_000, 2_000, 600
SIDE, SECONDS, RATE_HZ = 64, 2, 16_000
WORKERS = 2
MOST_S = 10
_PIECE = 250


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare ways to read files that lie in the cache of the disk; the 50,000 pictures are read once."""
    with tempfile.TemporaryDirectory() as name, _settings(ZOO_HOME=f"{name}/home", ZOO_DECODED_GB="0"):
        folder = Path(name)
        for place, files in (("few", FEW_PICTURES), ("many", PICTURES)):
            _draw(folder / place, files)
        _sound(folder / "sounds", SOUNDS)
        for what, kind, modality in (
            (f"{FEW_PICTURES:,} pictures, {SIDE} × {SIDE}, JPEG", "few", ImageModality(SIDE)),
            (f"{SOUNDS:,} sounds of {SECONDS} s, FLAC", "sounds", AudioModality(RATE_HZ, SECONDS)),
        ):
            yield from _compared(what, _listed(folder / kind), modality, rounds)
        yield from _many(_listed(folder / "many"))


def _compared(what: str, samples: Sequence[Sample], modality: Modality, rounds: int) -> Iterator[Comparison]:
    def read(workers: int) -> Callable[[], object]:
        return lambda: _read(samples, modality, workers)

    threads, alone = alternating(lambda: _by_threads(samples, modality), read(0), rounds=rounds)
    yield Comparison(f"reading {what}: {WORKERS} threads against one", threads, alone, "s")
    workers, alone = alternating(read(WORKERS), read(0), rounds=rounds)
    yield Comparison(f"reading {what}: {WORKERS} worker processes against none", workers, alone, "s")
    with _settings(**{VARIABLE: "8"}):
        _read(samples, modality, 0)
        kept = [timed(read(0)) for _ in range(rounds)]
    yield Comparison(f"reading {what}: kept from before against decoding", float(np.median(kept)), alone, "s")


def _many(samples: Sequence[Sample]) -> Iterator[Comparison]:
    what = f"reading {PICTURES:,} pictures, {SIDE} × {SIDE}, JPEG"
    alone_s, _ = _worked(samples, 0)
    workers_s, _ = _worked(samples, WORKERS)
    yield Comparison(f"{what}: seconds of all cores, {WORKERS} worker processes against none", workers_s, alone_s, "s")
    with _settings(**{VARIABLE: "8"}):
        _, took_s = _worked(samples, WORKERS)
        yield Comparison(f"{what}: from the list of files to rows that are kept", took_s, None, "s", at_most=MOST_S)
        _, again_s = _worked(samples, WORKERS)
        yield Comparison(f"{what}: kept from before", again_s, None, "s")


def _worked(samples: Sequence[Sample], workers: int) -> tuple[float, float]:
    """Return the seconds of processors, of this process and its workers, and of the clock that reading takes."""
    before, start = os.times(), time.perf_counter()
    _read(samples, ImageModality(SIDE), workers)
    took_s, after = time.perf_counter() - start, os.times()
    return sum(after[:4]) - sum(before[:4]), took_s


def _read(samples: Sequence[Sample], modality: Modality, workers: int) -> None:
    (name,) = samples[0].inputs
    load_rows(samples, {name: modality}, where="here", reading=Reading(workers))


def _by_threads(samples: Sequence[Sample], modality: Modality) -> None:
    values = [value for sample in samples for value in sample.inputs.values()]
    with ThreadPoolExecutor(WORKERS) as threads:
        list(
            threads.map(modality.to_arrays, [values[start : start + _PIECE] for start in range(0, len(values), _PIECE)])
        )


def _listed(folder: Path) -> Sequence[Sample]:
    dataset = Folder(str(folder))
    return [sample for split in ("train", "validation", "test") for sample in dataset.split(split)]


def _draw(folder: Path, files: int) -> None:
    from PIL import Image

    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(files):
        colours = Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8))
        colours.resize((SIDE, SIDE)).save(folder / f"{number}.jpg")


def _sound(folder: Path, files: int) -> None:
    import soundfile

    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(files):
        steps = generator.standard_normal(SECONDS * RATE_HZ, dtype=np.float32).cumsum()
        soundfile.write(folder / f"{number}.flac", steps / (np.abs(steps).max() + 1), RATE_HZ)


@contextmanager
def _settings(**settings: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
