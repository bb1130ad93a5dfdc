"""Writes the files of a run while it trains: checkpoints, the log, the recipe, and which checkpoint is the best."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from zoo.errors import TrainingError
from zoo.files.store import remove_file
from zoo.models.build import Model
from zoo.recipes.changes import Changes, told
from zoo.recipes.spec import Recipe
from zoo.samples.splits import joined
from zoo.training.choosing import Best, write_best
from zoo.training.counting import WithoutRows
from zoo.training.launching import is_first_process
from zoo.training.loop import Loop
from zoo.training.preparing import Prepared
from zoo.training.runs import FROZEN, UNREAD, Run
from zoo.training.starting import FILE
from zoo.training.validating import Validation

# The key in the log for terms that no row contributed to, and the key for the metric that ended a training early.
WITHOUT_ROWS, ENDED = "without_rows", "ended_early"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Writer:
    """Writes the files of a run, in the first process only."""

    run: Run
    recipe: Recipe
    model: Model
    loop: Loop
    validation: Validation
    launched: Mapping[str, int]

    def start(self, step: int, changed: Changes, prepared: Prepared) -> None:
        """Test whether a checkpoint can be written, write the recipe and the changes, open the log and the trackers."""
        unread, started = prepared.unread, prepared.started
        if is_first_process():
            first = min(step + self.recipe.training.checkpoint_every, self.recipe.training.steps)
            owned = [parameter for parameters in self.loop.owned.values() for parameter in parameters]
            live = self.loop.averages.live().values() if self.loop.averages else ()
            self.run.rehearse(first, self.model, self.recipe, owned, live=live)
            self.run.start(self.recipe, step=step, changed=changed)
            write_best(self.run.folder, self._best)
            if started is not None:
                started.write(self.run.folder)
            elif step == 0:
                remove_file(self.run.folder / FILE)
            for sentence in started.told() if started is not None else ():
                _log.warning(sentence)
            if changed:
                _log.warning("from step %d on, %s", step + 1, told(changed))
            if unread and (changed or step == 0):
                self.run.log({"step": step, UNREAD: {name: one.written() for name, one in unread.items()}})
            if frozen := self.loop.frozen.told():
                _log.warning(frozen)
                if changed or step == 0:
                    self.run.log({"step": step, FROZEN: list(self.loop.frozen.weights)})
            for sentence in (sentence for name, one in unread.items() for sentence in one.told(name)):
                _log.warning(sentence)
        self.loop.accelerator.init_trackers(self.run.folder.name, config=_flat(self.recipe.written()))

    def log(self, step: int, terms: Mapping[str, float]) -> None:
        """Add a line to the log, and pass it to the trackers."""
        if is_first_process():
            self.run.log({"step": step, **terms})
        if self.recipe.training.trackers:
            self.loop.accelerator.log(dict(terms), step=step)

    def tell(self, found: WithoutRows | None) -> None:
        """Warn of terms that no row contributed to, and add a line to the log, if there are any."""
        if found is not None and is_first_process():
            self.run.log({"step": found.last, WITHOUT_ROWS: list(found.terms)})
            _log.warning(
                "no row of the steps %d to %d contributed to %s: it teaches the model nothing",
                found.first,
                found.last,
                joined(found.terms),
            )

    def end(self, step: int) -> None:
        """Tell that training ends early after ``step``, and add a line to the log."""
        if is_first_process() and self._best is not None:
            self.run.log({"step": step, ENDED: self._best.metric})
            _log.warning("training ends early at step %d: no better than %s", step, self._best.told())

    def save(self, step: int) -> None:
        """Commit a checkpoint: of the averages if the training has some."""
        averages = self.loop.averages
        live = averages.live() if averages is not None else None
        with self.loop.averaged():
            _check_weights(self.model, step)
            if is_first_process():
                self.run.save(
                    step,
                    self.model,
                    self.recipe,
                    self.loop.optimisers,
                    self.launched,
                    live=live,
                    measured=self.validation.measured if self.recipe.training.validate_every else None,
                    watched=self.validation.watched,
                )
        self.loop.accelerator.wait_for_everyone()

    @property
    def _best(self) -> Best | None:
        return self.validation.watched.best if self.validation.watched is not None else None


def _flat(tables: Mapping[str, object], prefix: str = "") -> dict[str, int | float | str | bool]:
    """Return a recipe by dotted keys, as trackers expect it."""
    flat: dict[str, int | float | str | bool] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, int | float | str) else str(value)
    return flat


def _check_weights(model: Model, step: int) -> None:
    """Raise TrainingError if a step made weights NaN or infinite: these must not replace a good checkpoint."""
    for name, parameter in model.objective.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise TrainingError(
                f"the weights {name!r} are not finite after step {step}, though its loss was; the last good checkpoint "
                "stays. Look for a gradient without a bound, such as that of a square root at zero"
            )
