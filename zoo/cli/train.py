"""``zoo train``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.catalogue.registry import RegistryEntry, find
from zoo.catalogue.targets import require_plugins
from zoo.cli.output import note, print_exactly, progress_bar
from zoo.cli.samples import bad_sample_option
from zoo.discovery.plugins import Plugins, installed
from zoo.errors import UnknownNameError, UsageError, ZooError
from zoo.recipes.spec import Recipe

if TYPE_CHECKING:
    from zoo.training.train import TakenStep


@click.command("train")
@click.argument("source", metavar="NAME|RECIPE.toml")
@click.option("-o", "options", multiple=True, metavar="KEY=VALUE", help="Set a key of the recipe: training.steps=100.")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder.  [default: runs/NAME]")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in the run's folder.")
@click.option("--accept-changes", is_flag=True, help="With --resume: take a learning rate or the like that changed.")
@bad_sample_option
def command(
    source: str, options: tuple[str, ...], out: Path | None, resume: bool, accept_changes: bool, skip_bad_samples: bool
) -> None:
    """Train an entry's recipe or one's own.

    The path of the last checkpoint is printed. Checkpoints, the recipe and a log of JSON lines lie in the run's folder.
    """
    if accept_changes and not resume:
        raise UsageError("--accept-changes is for --resume, which is not given; add it, or leave this out")
    plugins = installed()
    if source.endswith(".toml"):
        recipe, name = Recipe.load(Path(source)), Path(source).stem
    else:
        entry = _entry(source, plugins)
        require_plugins(entry, plugins)
        recipe, name = entry.recipe, entry.name
    recipe = recipe.with_options(options) if options else recipe
    from zoo.reporting.page import report
    from zoo.training.loop import is_first_process
    from zoo.training.runs import Run
    from zoo.training.train import train

    out, start = out or Path("runs") / name, time.monotonic()
    with progress_bar("training") as advance:

        def observe(taken: TakenStep) -> None:
            terms = "  ".join(f"{key} {value:.4g}" for key, value in taken.terms.items())
            advance(taken.step, taken.steps, terms)

        def observe_reading(done: int, total: int) -> None:
            advance(done, total, "values read")

        path = train(
            recipe,
            out,
            resume=resume,
            accept_changes=accept_changes,
            skip_bad_samples=skip_bad_samples,
            observe=observe,
            observe_reading=observe_reading,
            plugins=plugins,
        )
    took_s = time.monotonic() - start
    if not is_first_process():
        return
    if skipped := Run(out).skipped():
        error = next(iter(skipped.values()))
        where = out / "skipped.jsonl"
        note(f"samples that cannot be read: {len(skipped)}, skipped; {where} lists them, the first: {error}")
    print_exactly(path)
    note(f"trained {recipe.training.steps} steps; the log is {out / 'log.jsonl'}")
    try:
        note(f"the report is {report(out, took_s=took_s, plugins=plugins)}")
    except (ZooError, OSError, ValueError) as error:  # the weights are safe, and a missing font must not fail them
        note(f"there is no report: {error}")


def _entry(name: str, plugins: Plugins) -> RegistryEntry:
    try:
        return find(name, plugins)
    except UnknownNameError as error:
        if not (recipe := Path(name) / "recipe.toml").is_file():
            raise
        raise UsageError(
            f"no entry {name!r}, but a folder with a recipe: train it by `zoo train {recipe}`, and add "
            f"--out {name} --resume to go on with a run"
        ) from error
