"""Which checkpoint of a run is taken: the best one by the metric that was watched, or the newest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import IntegrityError, SpecError, UsageError
from zoo.files.bound import read_bounded
from zoo.files.replacing import CHECKPOINT
from zoo.files.store import remove_file, staged_file
from zoo.recipes.tables import Table, parse_json

FOLDER, WEIGHTS = "checkpoint-", "model.safetensors"
_BEST = "best.json"
_LARGEST_BYTES = 1 << 16
# Files by which a folder of transformers or sentence-transformers is known.
_OF_OTHERS = ("config.json", "modules.json")
_CURE = "delete it, and the newest checkpoint is taken"


@dataclass(frozen=True)
class Best:
    """What ``best.json`` says: the metric, its best value, and the step of the checkpoint that has it."""

    metric: str
    highest: bool
    value: float
    step: int

    def told(self) -> str:
        """Return the best value and its step: ``the highest recall@10, 0.4312, at step 300``."""
        return f"the {'highest' if self.highest else 'lowest'} {self.metric}, {self.value:.4g}, at step {self.step}"


@dataclass(frozen=True)
class Chosen:
    """A checkpoint file of a run; ``told`` says why it was taken, empty if there was no choice."""

    weights: Path
    told: str = ""


def checkpoint_folder(run: Path, step: int) -> Path:
    """Return the folder of a checkpoint."""
    return run / f"{FOLDER}{step:08d}"


def saved_steps(run: Path) -> dict[int, Path]:
    """Return the folders of the checkpoints of a run by step, in order."""
    numbers = {folder.name.removeprefix(FOLDER): folder for folder in run.glob(f"{FOLDER}*")}
    return {int(number): numbers[number] for number in sorted(filter(str.isdecimal, numbers), key=int)}


def write_best(run: Path, best: Best | None) -> None:
    """Write which checkpoint is the best, or take the file away."""
    if best is None:
        remove_file(run / _BEST)
        return
    written = {
        "metric": best.metric,
        "is": "highest" if best.highest else "lowest",
        "value": best.value,
        "step": best.step,
        "checkpoint": checkpoint_folder(run, best.step).name,
    }
    with staged_file(run / _BEST) as staging:
        staging.write_text(json.dumps(written, indent=1) + "\n")


def read_best(run: Path) -> Best | None:
    """Return which checkpoint of a run is the best; None if no metric was watched.

    Raises IntegrityError if the file is damaged.
    """
    path = run / _BEST
    if not path.is_file():
        return None
    found: Mapping[str, Any] = parse_json(read_bounded(path, most_bytes=_LARGEST_BYTES), str(path), cure=_CURE)
    try:
        table = Table(found, str(path))
        value, step = table.take("value", float), table.take("step", int)
        return Best(table.take("metric", str), table.take("is", str) == "highest", value, step)
    except SpecError as error:
        raise IntegrityError(f"{path} is damaged ({error!s:.200}); {_CURE}") from error


def chosen(folder: Path, *, last: bool = False) -> Chosen:
    """Return the checkpoint file of a run's folder that is the best, or with ``last`` the newest one.

    A folder that is one checkpoint holds its file. Raises UsageError if there is no checkpoint, IntegrityError if the
    best one is not there.
    """
    if CHECKPOINT.belongs(folder) is not None and (folder / WEIGHTS).is_file():
        return Chosen(folder / WEIGHTS)
    found = [path for one in saved_steps(folder).values() if (path := one / WEIGHTS).is_file()]
    if not found:
        of_others = any((folder / name).is_file() for name in _OF_OTHERS)
        other = f", or make it a run first: `zoo import {folder} --out RUN`" if of_others else ""
        raise UsageError(
            f"{folder} holds no checkpoint; name a .safetensors file or a folder that `zoo train` left{other}"
        )
    best = None if last else read_best(folder)
    if best is None:
        return Chosen(found[-1])
    weights = checkpoint_folder(folder, best.step) / WEIGHTS
    if weights not in found:
        raise IntegrityError(f"{weights}, the best of this run, is not there; take the newest with `last=True`")
    return Chosen(weights, f"{folder}: the checkpoint with {best.told()}, is taken; `last=True` takes the newest")
