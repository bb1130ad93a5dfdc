"""A run is a folder: checkpoints with the state needed to resume, the recipe, and a log of JSON lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from zoo.errors import DataError, UsageError
from zoo.files.exclusive import sole_writer
from zoo.files.replacing import CHECKPOINT, RUN, fillable
from zoo.files.store import check_room, digests, remove_folder, staged_file, staged_folder
from zoo.models.build import Model
from zoo.models.checkpoint import checkpoint_bytes, recipe_json, save_checkpoint
from zoo.protocols import Sample
from zoo.recipes.changes import Changes, written
from zoo.recipes.spec import Recipe
from zoo.recipes.tables import parse_json
from zoo.samples.skipping import SkippedSamples
from zoo.training.choosing import WEIGHTS, checkpoint_folder, saved_steps, write_best
from zoo.training.saved import LIVE, OPTIMISERS, SavedStep, read_saved
from zoo.training.watching import Watched

_KEPT = 2
_log = logging.getLogger(__name__)
# The keys in the log for settings that changed during training, for data left out, and for parts that are frozen.
CHANGED, UNREAD, FROZEN = "changed", "unread", "frozen"


@dataclass(frozen=True)
class Run:
    """The folder of one training."""

    folder: Path

    def nothing_yet(self) -> None:
        """Raise UsageError if the folder already holds checkpoints, or anything that is not a run."""
        fillable(self.folder, RUN)
        if saved := self.saved():
            raise UsageError(
                f"{self.folder} already holds checkpoints up to step {max(saved)}; "
                "continue from them with `resume=True`, or choose another `out`"
            )

    @contextmanager
    def held(self, newest: SavedStep | None) -> Iterator[None]:
        """Keep other trainings out of the folder while this one, which starts from the checkpoint ``newest``, runs.

        Raises UsageError if another one writes to it, or has done so since ``newest`` was read.
        """
        with sole_writer(self.folder, RUN.command):
            if max(self.saved(), default=0) != (newest.step if newest else 0):
                raise UsageError(
                    f"another `{RUN.command}` wrote checkpoints to {self.folder} while this one began; continue from "
                    "them with `resume=True`, or choose another `out`"
                )
            yield

    def newest(self) -> SavedStep | None:
        """Return the newest complete checkpoint, None if there is none.

        Raises IntegrityError if its bytes changed, UsageError if the folder holds anything that is not a run.
        """
        saved = self.saved()
        if not saved:
            fillable(self.folder, RUN)
            return None
        step = max(saved)
        found, files = read_saved(saved[step], step)
        files.verify()
        return found

    def start(self, recipe: Recipe, *, step: int, changed: Changes) -> None:
        """Write the recipe beside the checkpoints; keep the log up to ``step``, since later steps will be repeated.

        If anything ``changed``, a line in the log says so.
        """
        with staged_file(self.folder / "recipe.toml") as staging:
            staging.write_text(recipe.toml())
        path = self.folder / "log.jsonl"
        logged = [line for line in read_log(path) if _is_done(line, step)] if path.exists() else []
        if changed:
            logged.append({"step": step, CHANGED: written(changed)})
        with staged_file(path) as staging:
            staging.write_text("".join(json.dumps(line) + "\n" for line in logged))

    def log(self, line: Mapping[str, Any]) -> None:
        """Append one line to ``log.jsonl``."""
        with (self.folder / "log.jsonl").open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    def rehearse(
        self, step: int, model: Model, recipe: Recipe, optimised: Iterable[Tensor], *, live: Iterable[Tensor] = ()
    ) -> None:
        """Test whether the checkpoint of ``step`` can be written, in memory and on the disk; nothing is left behind.

        ``optimised`` are the tensors for which an optimiser keeps two averages, ``live`` those that are saved beside
        the averages that the model has. Raises DiskError if there is not enough
        space or the folder may not be written; PluginError or SpecError if no file can hold the model or the recipe.
        """
        state_bytes = 2 * sum(tensor.nbytes for tensor in optimised) + sum(tensor.nbytes for tensor in live)
        check_room(checkpoint_folder(self.folder, step), len(checkpoint_bytes(model, recipe)) + state_bytes)

    def save(
        self,
        step: int,
        model: Model,
        recipe: Recipe,
        optimisers: Mapping[str, Optimizer],
        launched: Mapping[str, int],
        *,
        live: Mapping[str, Tensor] | None = None,
        measured: int | None = None,
        watched: Watched | None = None,
    ) -> None:
        """Commit weights and training state as one folder, then delete all but the newest two and the best.

        ``live`` are the weights that training continues from if the model has averages of them.
        """
        with staged_folder(checkpoint_folder(self.folder, step), replaces=CHECKPOINT) as staging:
            save_checkpoint(model, recipe, staging / WEIGHTS)
            save_file(_optimiser_tensors(optimisers), staging / OPTIMISERS)
            if live is not None:
                save_file(dict(live), staging / LIVE)
            state = {"step": step, "recipe": recipe_json(recipe), **launched, "files": digests(staging)}
            state |= {} if measured is None else {"measured": measured}
            state |= {} if watched is None else {"watched": watched.written()}
            (staging / "state.json").write_text(json.dumps(state, indent=1, sort_keys=True))
        best = None if watched is None else watched.best
        write_best(self.folder, best)
        saved = self.saved()
        for old in list(saved)[:-_KEPT]:
            if best is not None and old == best.step:
                continue
            try:
                remove_folder(saved[old], CHECKPOINT)
            except UsageError as error:
                _log.warning("an old checkpoint is kept: %s", error)

    def skip(self, sample: Sample, error: DataError) -> None:
        """Add a sample that cannot be read to ``skipped.jsonl``, once."""
        self._skipped_samples.add(sample, error)

    def skipped(self) -> dict[str, str]:
        """Return the fault of each skipped sample, by its key."""
        path = self.folder / "skipped.jsonl"
        return {line["sample"]: line["error"] for line in read_log(path)} if path.exists() else {}

    @cached_property
    def _skipped_samples(self) -> SkippedSamples:
        return SkippedSamples(self.folder / "skipped.jsonl")

    def saved(self) -> dict[int, Path]:
        """Return the folders of the checkpoints by step, in order."""
        return saved_steps(self.folder)


def _is_done(line: Mapping[str, Any], step: int) -> bool:
    """Return whether a line of the log remains valid when training resumes from a step."""
    told_at_its_start = not {CHANGED, UNREAD, FROZEN}.isdisjoint(line)
    return bool(line["step"] < step or (line["step"] == step and not told_at_its_start))


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log, ignoring an unfinished last line.

    Raises IntegrityError, naming the line, for a line that is not a JSON object.
    """
    return [
        parse_json(line, f"{path}: line {number}", cure="remove it")
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1)
        if line.endswith(b"\n")
    ]


def _optimiser_tensors(optimisers: Mapping[str, Optimizer]) -> dict[str, Tensor]:
    return {
        f"{name}/{position}/{key}": torch.as_tensor(value).cpu()
        for name, optimiser in optimisers.items()
        for position, state in optimiser.state_dict()["state"].items()
        for key, value in state.items()
    }
