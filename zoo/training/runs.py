"""A run is a folder: checkpoints with the state needed to resume, the recipe, and a log of JSON lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from zoo.errors import DataError, IntegrityError, SpecError, UsageError
from zoo.files.bound import BoundFiles, bound_files, read_bounded
from zoo.files.exclusive import sole_writer
from zoo.files.replacing import CHECKPOINT, RUN, fillable
from zoo.files.store import check_room, digests, remove_folder, staged_file, staged_folder, with_plain_name
from zoo.models.build import Model
from zoo.models.checkpoint import checkpoint_bytes, recipe_json, save_checkpoint
from zoo.protocols import Sample
from zoo.recipes.changes import Changes, changes, written
from zoo.recipes.spec import Recipe
from zoo.recipes.tables import Table, parse_json
from zoo.samples.skipping import SkippedSamples

_FOLDER = "checkpoint-"
_WEIGHTS, _OPTIMISERS = "model.safetensors", "optimisers.safetensors"
_LARGEST_STATE_BYTES = 16 << 20
_KEPT = 2
_LAUNCHED = ("rows", "processes")
_log = logging.getLogger(__name__)
# The keys in the log for settings that changed during training, for data left out, and for parts that are frozen.
CHANGED, UNREAD, FROZEN = "changed", "unread", "frozen"


@dataclass(frozen=True)
class SavedStep:
    """A checkpoint of a run and the training state beside it.

    ``recipe`` is the one that it was trained with. ``launched`` holds the number of ``rows`` and of ``processes`` that
    its steps were taken with, if these were saved.
    """

    folder: Path
    step: int
    recipe: Recipe
    launched: Mapping[str, int] = field(default_factory=dict)

    @property
    def weights(self) -> Path:
        """The checkpoint file."""
        return self.folder / _WEIGHTS

    def changes(self, recipe: Recipe, **launched: int) -> dict[str, tuple[Any, Any]]:
        """Return, by key, the differences to the run so far, in the recipe and in the given values of ``launched``."""
        known = {key: (self.launched.get(key, now), now) for key, now in launched.items()}
        return {**changes(self.recipe, recipe), **{key: pair for key, pair in known.items() if pair[0] != pair[1]}}

    def restore(self, optimisers: Mapping[str, Optimizer], places: Mapping[str, Sequence[int | None]]) -> None:
        """Give the optimisers their saved state.

        ``places`` maps, by optimiser, each position in the saved one to the parameter's position now; None leaves its
        state out.

        Raises IntegrityError if the file holds something else.
        """
        path = self.folder / _OPTIMISERS
        try:
            with with_plain_name(path) as named:
                tensors = load_file(named)
            for known, optimiser in optimisers.items():
                groups = optimiser.state_dict()["param_groups"]
                state: dict[int, dict[str, Tensor]] = {}
                for name, tensor in tensors.items():
                    owner, position, key = name.rsplit("/", 2)
                    place = places[known][int(position)] if owner == known else None
                    if place is not None:
                        state.setdefault(place, {})[key] = tensor
                _require_shapes(optimiser, state)
                optimiser.load_state_dict({"state": state, "param_groups": groups})
        except (SafetensorError, LookupError, ValueError) as error:
            raise IntegrityError(
                f"{path} is not what the optimisers of this recipe saved ({error!s:.200}); delete {self.folder} and "
                "`resume=True` continues from the one before"
            ) from error


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
        recipe, files, launched = _state(saved[step] / "state.json")
        files.verify()
        return SavedStep(saved[step], step, recipe, launched)

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

    def rehearse(self, step: int, model: Model, recipe: Recipe, optimised: Iterable[Tensor]) -> None:
        """Test whether the checkpoint of ``step`` can be written, in memory and on the disk; nothing is left behind.

        ``optimised`` are the tensors for which an optimiser keeps two averages. Raises DiskError if there is not enough
        space or the folder may not be written; PluginError or SpecError if no file can hold the model or the recipe.
        """
        size_bytes = len(checkpoint_bytes(model, recipe)) + 2 * sum(tensor.nbytes for tensor in optimised)
        check_room(self.folder / f"{_FOLDER}{step:08d}", size_bytes)

    def save(
        self,
        step: int,
        model: Model,
        recipe: Recipe,
        optimisers: Mapping[str, Optimizer],
        launched: Mapping[str, int],
    ) -> None:
        """Commit weights and training state as one folder, then delete all but the newest two."""
        with staged_folder(self.folder / f"{_FOLDER}{step:08d}", replaces=CHECKPOINT) as staging:
            save_checkpoint(model, recipe, staging / _WEIGHTS)
            save_file(_optimiser_tensors(optimisers), staging / _OPTIMISERS)
            state = {"step": step, "recipe": recipe_json(recipe), **launched, "files": digests(staging)}
            (staging / "state.json").write_text(json.dumps(state, indent=1, sort_keys=True))
        saved = self.saved()
        for old in list(saved)[:-_KEPT]:
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
        numbers = {folder.name.removeprefix(_FOLDER): folder for folder in self.folder.glob(f"{_FOLDER}*")}
        return {int(number): numbers[number] for number in sorted(filter(str.isdecimal, numbers), key=int)}


def _state(path: Path) -> tuple[Recipe, BoundFiles, dict[str, int]]:
    """Return the recipe of a checkpoint, its files, and how it was launched."""
    try:
        table = Table(json.loads(read_bounded(path, most_bytes=_LARGEST_STATE_BYTES)), "state")
        files = bound_files(path.parent, table.take("files", dict))
        for name in (_WEIGHTS, _OPTIMISERS):
            if name not in files.promised:
                raise SpecError(f"state: 'files' lacks {name!r}")
        kept = table.items()
        launched = {key: Table(kept, "state").take(key, int) for key in _LAUNCHED if key in kept}
        return Recipe.read(kept.get("recipe"), str(path)), files, launched
    except (IntegrityError, SpecError, ValueError, RecursionError) as error:
        raise IntegrityError(
            f"{path} is missing or damaged ({error!s:.500}); delete {path.parent} and `resume=True` continues from "
            "the one before"
        ) from error


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


def newest_weights(folder: Path) -> Path:
    """Return the newest checkpoint file in a run's folder, or the file in a folder that is one checkpoint.

    Raises UsageError if there is none.
    """
    if CHECKPOINT.belongs(folder) is not None and (folder / _WEIGHTS).is_file():
        return folder / _WEIGHTS
    found = [path for one in Run(folder).saved().values() if (path := one / _WEIGHTS).is_file()]
    if not found:
        raise UsageError(f"{folder} holds no checkpoint; name a .safetensors file or a folder that `zoo train` left")
    return found[-1]


def _require_shapes(optimiser: Optimizer, state: Mapping[int, Mapping[str, Tensor]]) -> None:
    """Raise ValueError if a saved tensor is neither one number nor of its parameter's shape."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for position, tensors in state.items():
        if not 0 <= position < len(parameters):
            raise ValueError(f"it has {len(parameters)} parameters and no number {position}")
        for key, tensor in tensors.items():
            if tensor.ndim and tensor.shape != parameters[position].shape:
                raise ValueError(f"{key} of number {position} has the shape {tuple(tensor.shape)}")


def _optimiser_tensors(optimisers: Mapping[str, Optimizer]) -> dict[str, Tensor]:
    return {
        f"{name}/{position}/{key}": torch.as_tensor(value).cpu()
        for name, optimiser in optimisers.items()
        for position, state in optimiser.state_dict()["state"].items()
        for key, value in state.items()
    }
