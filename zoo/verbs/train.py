"""Trains a recipe, and returns the run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.catalogue.registry import RegistryEntry, find
from zoo.catalogue.targets import require_plugins
from zoo.discovery.extras import extras_named
from zoo.discovery.plugins import Plugins, installed
from zoo.errors import UnknownNameError, UsageError, ZooError
from zoo.files.replacing import BUNDLE
from zoo.protocols import Progress
from zoo.reading.lists import listed
from zoo.recipes.arguments import checked
from zoo.recipes.spec import Recipe
from zoo.verbs.progress import told
from zoo.verbs.sources import opened
from zoo.verbs.texts import plain

if TYPE_CHECKING:  # importing torch takes seconds, and wrong names are reported before it
    from zoo.models.checkpoint import Checkpoint
    from zoo.training.starting import Start
    from zoo.training.train import TakenStep


@dataclass(frozen=True, repr=False)
class TrainedRun:
    """A finished run, which can be used as the path of its folder.

    ``weights`` is its best checkpoint if ``training.best`` names a metric, else its last; ``terms`` are those of the
    loss at the last step that was logged; ``skipped`` says, by key, why samples could not be read. Without a
    ``report`` the text ``no_report`` says why.
    """

    folder: Path
    weights: Path
    steps: int
    took_s: float
    terms: Mapping[str, float] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    report: Path | None = None
    no_report: str = ""

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        terms = "".join(f", {name} {value:.4g}" for name, value in self.terms.items())
        lines = [f"run {self.folder}: {self.steps} steps{terms}", f"  weights  {self.weights}"]
        lines += [f"  report   {self.report}"] if self.report else []
        lines += [f"  skipped  {len(self.skipped)} samples that cannot be read"] if self.skipped else []
        return "\n".join(map(plain, lines))


@checked
def train(
    source: str | os.PathLike[str] | RegistryEntry | Recipe,
    out: Path | str | None = None,
    *,
    options: Mapping[str, object] | Sequence[str] = (),
    resume: bool = False,
    accept_changes: bool = False,
    skip_bad_samples: bool = False,
    start_from: str | os.PathLike[str] | RegistryEntry | Checkpoint | None = None,
    keep_fitted: bool = False,
    progress: Progress | None = None,
    observe: Callable[[TakenStep], None] | None = None,
    plugins: Plugins | None = None,
) -> TrainedRun:
    """Train a recipe, or that of an entry, into the folder ``out``, by default ``runs/NAME``; write its report.

    ``options`` set keys of the recipe: ``{"training.steps": 100}``, or texts as after ``zoo train -o``. ``resume``
    continues from the newest checkpoint in ``out``; without it ``out`` must hold none. If a setting that affects the
    steps changed, ``accept_changes`` allows it: a learning rate, an option of the data, but not the spec.
    ``start_from`` names trained weights to start from: an entry, a checkpoint, a run or a bundle. Tensors are taken by
    part and name, rows of vocabularies by word; ``from.json`` in ``out`` lists what was taken and what is fresh. Its
    modalities are fitted anew, unless ``keep_fitted`` takes what those learnt. If ``resume`` finds a checkpoint, it
    continues from that alone. ``skip_bad_samples`` leaves out samples that cannot be read, and lists them in
    ``skipped.jsonl``. ``progress`` is called with the number of steps taken and their total, and before that with
    values read; ``observe`` after each step whose terms are logged. SIGTERM and Ctrl-C leave a checkpoint and raise
    SystemExit with 143 or 130.

    Raises UnknownNameError with the nearest name, PluginError if an entry needs a plugin that is not installed,
    SpecError for a wrong key, UsageError if ``out`` is taken; IntegrityError, naming each changed key with both values,
    if a change is not accepted; DataError, naming the sample, if it cannot be read; TrainingError, naming the term and
    the step, if a loss is not finite or memory runs out; the last good checkpoint stays.
    """
    if accept_changes and not resume:
        raise UsageError("`accept_changes` is for `resume`, which is not given; add it, or leave this out")
    if keep_fitted and start_from is None:
        raise UsageError("`keep_fitted` is for `start_from`, which is not given; add it, or leave this out")
    plugins = plugins or installed()
    recipe, name = _recipe(source, plugins)
    if options:
        recipe = recipe.with_options(options if isinstance(options, Mapping) else listed(options, "options"))
    if out is None and not name:
        raise UsageError("a Recipe has no name for a folder; give the run's folder: train(recipe, out)")
    folder, begun_s = Path(out) if out is not None else Path("runs") / name, time.monotonic()
    with extras_named():
        from zoo.training.choosing import chosen, saved_steps
        from zoo.training.launching import is_first_process
        from zoo.training.runs import Run
        from zoo.training.train import train as take_steps

    with told(progress, "training") as advance:
        start = _start(start_from, folder, plugins, advance, keep_fitted=keep_fitted, resume=resume)

        def taken(step: TakenStep) -> None:
            advance(step.step, step.steps, "  ".join(f"{key} {value:.4g}" for key, value in step.terms.items()))
            if observe is not None:
                observe(step)

        last = take_steps(
            recipe,
            folder,
            resume=resume,
            accept_changes=accept_changes,
            skip_bad_samples=skip_bad_samples,
            start=start,
            observe=taken,
            observe_reading=lambda done, total: advance(done, total, "values read"),
            plugins=plugins,
        )
    took_s = time.monotonic() - begun_s
    if not is_first_process():
        return TrainedRun(folder, last, recipe.training.steps, took_s)
    steps, weights = max(saved_steps(folder)), chosen(folder).weights
    page, fault = _reported(folder, took_s, plugins)
    return TrainedRun(folder, weights, steps, took_s, _last_terms(folder), Run(folder).skipped(), page, fault)


def _start(
    source: str | os.PathLike[str] | RegistryEntry | Checkpoint | None,
    folder: Path,
    plugins: Plugins,
    progress: Progress,
    *,
    keep_fitted: bool,
    resume: bool,
) -> Start | None:
    """Return the weights to start from; None if there are none, or if there is a checkpoint to continue from."""
    from zoo.training.choosing import saved_steps
    from zoo.training.starting import FILE, Start

    if resume and saved_steps(folder):
        return None
    if source is None:
        if resume and (folder / FILE).is_file():
            raise UsageError(
                f"{folder} began from other weights, which its {FILE} names, and holds no checkpoint yet; give them "
                "again by `start_from`"
            )
        return None
    if isinstance(source, str | os.PathLike) and BUNDLE.belongs(Path(source)) is not None:
        source = Path(source) / "model.safetensors"
        if not source.is_file():
            raise UsageError(f"{source.parent} is a bundle whose graphs hold their own weights; name its checkpoint")
    model = opened(source, plugins, progress)
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else "a checkpoint"
    name = model.name if model.entry is not None else path
    return Start(name, model.checkpoint, keep_fitted)


def _recipe(source: str | os.PathLike[str] | RegistryEntry | Recipe, plugins: Plugins) -> tuple[Recipe, str]:
    """Return a recipe, and a name for its run."""
    if isinstance(source, Recipe):
        return source, ""
    if not isinstance(source, RegistryEntry):
        text = os.fspath(source)
        if text.endswith(".toml"):
            return Recipe.load(Path(text)), Path(text).stem
        if text.endswith(".safetensors") or Path(text).is_file():
            raise UsageError(f"{text} is not a recipe; name an entry, or the file of a recipe, which ends in .toml")
        source = _entry(text, plugins)
    require_plugins(source, plugins)
    return source.recipe, source.name


def _entry(name: str, plugins: Plugins) -> RegistryEntry:
    try:
        return find(name, plugins)
    except UnknownNameError as error:
        if not (recipe := Path(name) / "recipe.toml").is_file():
            raise
        raise UsageError(
            f"no entry {name!r}, but a folder of this name with a recipe: train it by `zoo train {recipe}`, and add "
            f"`out={name!r}` and `resume=True` to continue a run"
        ) from error


def _reported(folder: Path, took_s: float, plugins: Plugins) -> tuple[Path | None, str]:
    try:
        with extras_named():
            from zoo.reporting.page import report

            return report(folder, took_s=took_s, plugins=plugins), ""
    except (ZooError, OSError, ValueError) as error:  # the weights are saved; a missing font must not fail the training
        return None, str(error)


def _last_terms(folder: Path) -> dict[str, float]:
    """Return the terms of the last line of the log that has a loss."""
    from zoo.training.runs import read_log

    lines = [line for line in read_log(folder / "log.jsonl") if "loss" in line]
    return {name: value for name, value in lines[-1].items() if name != "step"} if lines else {}
