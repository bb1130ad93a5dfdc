"""``zoo train``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.output import note, print_exactly
from zoo.cli.samples import bad_sample_option
from zoo.verbs.train import train


@click.command("train")
@click.argument("source", metavar="NAME|RECIPE.toml")
@click.option("-o", "options", multiple=True, metavar="KEY=VALUE", help="Set a key of the recipe: training.steps=100.")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder.  [default: runs/NAME]")
@click.option("--resume", is_flag=True, help="Continue from the newest checkpoint in the run's folder.")
@click.option("--accept-changes", is_flag=True, help="With --resume: accept changed settings, such as a learning rate.")
@click.option(
    "--from", "start_from", metavar="NAME|CHECKPOINT", help="Start from these weights: an entry, a run, a bundle."
)
@click.option("--keep-fitted", is_flag=True, help="With --from: keep its vocabularies and the like; fit none anew.")
@bad_sample_option
def command(
    source: str,
    options: tuple[str, ...],
    out: Path | None,
    resume: bool,
    accept_changes: bool,
    start_from: str | None,
    keep_fitted: bool,
    skip_bad_samples: bool,
) -> None:
    """Train an entry's recipe or your own.

    The path of the last checkpoint is printed, or of the best one if training.best names a metric. The run's folder
    holds checkpoints, the recipe and a log of JSON lines.
    """
    run = train(
        source,
        out,
        options=options,
        resume=resume,
        accept_changes=accept_changes,
        skip_bad_samples=skip_bad_samples,
        start_from=start_from,
        keep_fitted=keep_fitted,
    )
    from zoo.training.launching import is_first_process

    if not is_first_process():
        return
    if run.skipped:
        error = next(iter(run.skipped.values()))
        where = run.folder / "skipped.jsonl"
        note(f"samples that cannot be read: {len(run.skipped)}, skipped; {where} lists them, the first: {error}")
    print_exactly(run.weights)
    note(f"trained {run.steps} steps; the log is {run.folder / 'log.jsonl'}")
    note(f"there is no report: {run.no_report}" if run.no_report else f"the report is {run.report}")
