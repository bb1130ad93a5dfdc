"""A checkpoint of a run, and the state of the training beside it, from which it continues."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.optim import Optimizer

from zoo.errors import IntegrityError, SpecError
from zoo.files.bound import BoundFiles, bound_files, read_bounded
from zoo.files.store import with_plain_name
from zoo.recipes.changes import changes
from zoo.recipes.spec import Recipe
from zoo.recipes.tables import Table
from zoo.training.choosing import WEIGHTS
from zoo.training.watching import Watched

OPTIMISERS, LIVE = "optimisers.safetensors", "live.safetensors"
_LARGEST_STATE_BYTES = 16 << 20
_LAUNCHED = ("rows", "processes")


@dataclass(frozen=True)
class SavedStep:
    """A checkpoint of a run and the training state beside it.

    ``recipe`` is the one that it was trained with. ``launched`` holds the number of ``rows`` and of ``processes`` that
    its steps were taken with, if these were saved. ``measured`` is the step of the last validation, None if unknown;
    ``watched`` is what it showed so far of the metric that is watched.
    """

    folder: Path
    step: int
    recipe: Recipe
    launched: Mapping[str, int] = field(default_factory=dict)
    measured: int | None = None
    watched: Watched | None = None

    @property
    def weights(self) -> Path:
        """The checkpoint file."""
        return self.folder / WEIGHTS

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
        path = self.folder / OPTIMISERS
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

    def live(self) -> dict[str, Tensor]:
        """Return the weights to continue from if the checkpoint file holds averages of them; else none.

        Raises IntegrityError if the file cannot be read.
        """
        path = self.folder / LIVE
        if not path.is_file():
            return {}
        try:
            with with_plain_name(path) as named:
                return load_file(named)
        except SafetensorError as error:
            raise IntegrityError(
                f"{path} cannot be read ({error!s:.200}); delete {self.folder} and `resume=True` continues "
                "from the one before"
            ) from error


def read_saved(folder: Path, step: int) -> tuple[SavedStep, BoundFiles]:
    """Return a checkpoint with what its ``state.json`` says, and its files."""
    path = folder / "state.json"
    try:
        table = Table(json.loads(read_bounded(path, most_bytes=_LARGEST_STATE_BYTES)), "state")
        files = bound_files(folder, table.take("files", dict))
        for name in (WEIGHTS, OPTIMISERS):
            if name not in files.promised:
                raise SpecError(f"state: 'files' lacks {name!r}")
        kept = table.items()
        numbers = {key: Table(kept, "state").take(key, int) for key in (*_LAUNCHED, "measured") if key in kept}
        measured = numbers.pop("measured", None)
        watched = Watched.read(kept["watched"], "state: watched") if "watched" in kept else None
        recipe = Recipe.read(kept.get("recipe"), str(path))
        return SavedStep(folder, step, recipe, numbers, measured, watched), files
    except (IntegrityError, SpecError, ValueError, RecursionError) as error:
        raise IntegrityError(
            f"{path} is missing or damaged ({error!s:.500}); delete {path.parent} and `resume=True` continues from "
            "the one before"
        ) from error


def _require_shapes(optimiser: Optimizer, state: Mapping[int, Mapping[str, Tensor]]) -> None:
    """Raise ValueError if a saved tensor is neither one number nor of its parameter's shape."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for position, tensors in state.items():
        if not 0 <= position < len(parameters):
            raise ValueError(f"it has {len(parameters)} parameters and no number {position}")
        for key, tensor in tensors.items():
            if tensor.ndim and tensor.shape != parameters[position].shape:
                raise ValueError(f"{key} of number {position} has the shape {tuple(tensor.shape)}")
