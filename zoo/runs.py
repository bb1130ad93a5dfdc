"""A run is a folder: checkpoints with what training needs to go on, the recipe, and a log of JSON lines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from zoo.checkpoint import recipe_json, save_checkpoint
from zoo.errors import DataError, IntegrityError, UsageError
from zoo.model import Model
from zoo.protocols import Sample
from zoo.skipping import SkippedSamples
from zoo.spec import Recipe
from zoo.store import digests, staged_file, staged_folder, verify

_FOLDER = "checkpoint-"
_KEPT = 2


@dataclass(frozen=True)
class SavedStep:
    """A checkpoint of a run and the training state beside it."""

    folder: Path
    step: int

    @property
    def weights(self) -> Path:
        """The checkpoint file."""
        return self.folder / "model.safetensors"

    def restore(self, optimisers: Mapping[str, Optimizer]) -> None:
        """Give the optimisers the state that they had."""
        tensors = load_file(self.folder / "optimisers.safetensors")
        for player, optimiser in optimisers.items():
            groups = optimiser.state_dict()["param_groups"]
            state: dict[int, dict[str, Tensor]] = {}
            for name, tensor in tensors.items():
                owner, position, key = name.split("/")
                if owner == player:
                    state.setdefault(int(position), {})[key] = tensor
            optimiser.load_state_dict({"state": state, "param_groups": groups})


@dataclass(frozen=True)
class Run:
    """The folder of one training."""

    folder: Path

    def nothing_yet(self) -> SavedStep | None:
        """Return None for a fresh run.

        Raises UsageError where the folder already holds checkpoints.
        """
        saved = self._saved()
        if not saved:
            return None
        raise UsageError(
            f"{self.folder} already holds checkpoints up to step {saved[-1].step}; "
            "go on from them with --resume, or choose another --out"
        )

    def newest(self, recipe: Recipe) -> SavedStep | None:
        """Return the newest whole checkpoint, None where there is none.

        Raises IntegrityError where it was trained by another spec or on other data, or its bytes changed.
        """
        saved = self._saved()
        if not saved:
            return None
        newest = saved[-1]
        trained_by, files = _state(newest.folder / "state.json")
        verify(newest.folder, files)
        for key in ("spec", "data"):
            if trained_by[key] != json.loads(json.dumps(recipe_json(recipe)))[key]:
                raise IntegrityError(
                    f"{newest.folder} is a checkpoint of another {key}: expected {recipe_json(recipe)[key]}, "
                    f"it has {trained_by[key]}; use its own recipe, or choose another --out"
                )
        return newest

    def start(self, recipe: Recipe, *, step: int) -> None:
        """Write the recipe beside the checkpoints; the log keeps the steps up to ``step``, the others come again."""
        with staged_file(self.folder / "recipe.toml") as staging:
            staging.write_text(recipe.toml())
        path = self.folder / "log.jsonl"
        logged = [line for line in read_log(path) if line["step"] <= step] if path.exists() else []
        with staged_file(path) as staging:
            staging.write_text("".join(json.dumps(line) + "\n" for line in logged))

    def log(self, line: Mapping[str, Any]) -> None:
        """Append one line to ``log.jsonl``."""
        with (self.folder / "log.jsonl").open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    def save(self, step: int, model: Model, recipe: Recipe, optimisers: Mapping[str, Optimizer]) -> None:
        """Commit weights and training state as one folder, then delete all but the newest two."""
        with staged_folder(self.folder / f"{_FOLDER}{step:08d}") as staging:
            save_checkpoint(model, recipe, staging / "model.safetensors")
            save_file(_optimiser_tensors(optimisers), staging / "optimisers.safetensors")
            state = {"step": step, "recipe": recipe_json(recipe), "files": digests(staging)}
            (staging / "state.json").write_text(json.dumps(state, indent=1, sort_keys=True))
        for old in self._saved()[:-_KEPT]:
            shutil.rmtree(old.folder)

    def skip(self, sample: Sample, error: DataError) -> None:
        """Add a sample that cannot be read to ``skipped.jsonl``, once."""
        self._skipped_samples.add(sample, error)

    def skipped(self) -> dict[str, str]:
        """Return what is wrong with each sample that was skipped, by its key."""
        path = self.folder / "skipped.jsonl"
        return {line["sample"]: line["error"] for line in read_log(path)} if path.exists() else {}

    @cached_property
    def _skipped_samples(self) -> SkippedSamples:
        return SkippedSamples(self.folder / "skipped.jsonl")

    def _saved(self) -> list[SavedStep]:
        folders = sorted(self.folder.glob(f"{_FOLDER}[0-9]*"))
        return [SavedStep(folder, int(folder.name.removeprefix(_FOLDER))) for folder in folders]


def _state(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    try:
        state = json.loads(path.read_text())
        recipe, files = state["recipe"], state["files"]
        return {"spec": recipe["spec"], "data": recipe["data"]}, {name: dict(digest) for name, digest in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(
            f"{path} is missing or damaged ({error!r}); delete {path.parent} and --resume goes on from the one before"
        ) from error


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log, but for one that was never finished."""
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def newest_weights(folder: Path) -> Path:
    """Return the newest checkpoint file of a run's folder.

    Raises UsageError where it holds none.
    """
    found = sorted(folder.glob(f"{_FOLDER}*/model.safetensors"))
    if not found:
        raise UsageError(f"{folder} holds no checkpoint; name a .safetensors file or a folder that `zoo train` left")
    return found[-1]


def _optimiser_tensors(optimisers: Mapping[str, Optimizer]) -> dict[str, Tensor]:
    return {
        f"{player}/{position}/{key}": torch.as_tensor(value).cpu()
        for player, optimiser in optimisers.items()
        for position, state in optimiser.state_dict()["state"].items()
        for key, value in state.items()
    }
