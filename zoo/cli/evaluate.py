"""``zoo evaluate``."""

import click

from zoo.catalogue.targets import require_plugins, resolve
from zoo.cli.output import note, print_json, print_table
from zoo.cli.samples import bad_sample_option
from zoo.discovery.plugins import installed
from zoo.errors import UsageError
from zoo.evaluation.metrics import tabulated


@click.command("evaluate")
@click.argument("source", metavar="NAME|CHECKPOINT")
@click.option("--split", default="", help="Another split than the recipe's.")
@bad_sample_option
@click.option("--verify", "verified", is_flag=True, help="Compare with the entry's recorded metrics; exit 4 on a miss.")
@click.option("--json", "as_json", is_flag=True, help="Print an object of metrics.")
def command(source: str, split: str, skip_bad_samples: bool, verified: bool, as_json: bool) -> None:
    """Measure a model on held-out data."""
    plugins = installed()
    target = resolve(source, plugins)
    if target.entry is not None:
        require_plugins(target.entry, plugins)
    if verified and (target.entry is None or split):
        raise UsageError("--verify compares an entry's recorded metrics on its own split; name an entry and no --split")
    from zoo.evaluation.evaluate import evaluate, verify
    from zoo.models.checkpoint import load
    from zoo.samples.missing import LeftOut

    checkpoint = load(target.weights, plugins=plugins)
    left_out = LeftOut()
    skip = left_out if skip_bad_samples else None
    measured = evaluate(checkpoint.model, checkpoint.recipe, split=split, plugins=plugins, skip=skip)
    if told := str(left_out):
        note(told)
    if as_json:
        print_json(measured)
    else:
        table, others = tabulated(measured, list(checkpoint.model.modalities))
        if table:
            print_table(table[0], table[1:])
        if others:
            print_table(("METRIC", "VALUE"), [(name, f"{measured[name]:.4g}") for name in others])
    if verified and target.entry is not None:
        verify(measured, target.entry.metrics, target.name)
        note(f"{target.name}: all {len(target.entry.metrics)} recorded metrics were measured again within tolerance")
