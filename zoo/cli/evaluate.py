"""``zoo evaluate``."""

import click

from zoo.cli.output import note, print_json, print_table
from zoo.cli.samples import bad_sample_option
from zoo.discovery.plugins import installed
from zoo.verbs.sources import target_of


@click.command("evaluate")
@click.argument("source", metavar="NAME|CHECKPOINT")
@click.option("--split", default="", help="Another split than the recipe's.")
@bad_sample_option
@click.option("--verify", is_flag=True, help="Compare with the entry's recorded metrics; exit 4 on a miss.")
@click.option("--last", is_flag=True, help="Of a run: the newest checkpoint instead of the best.")
@click.option("--json", "as_json", is_flag=True, help="Print an object of metrics.")
def command(source: str, split: str, skip_bad_samples: bool, verify: bool, last: bool, as_json: bool) -> None:
    """Measure a model on held-out data."""
    plugins = installed()
    target = target_of(source, plugins, last=last)
    from zoo.verbs.evaluate import evaluate, recorded

    if verify:
        recorded(target.entry, split)  # reports missing recorded metrics before anything is measured
    measured = evaluate(target, split=split, skip_bad_samples=skip_bad_samples, plugins=plugins)
    if told := str(measured.left_out):
        note(told)
    if as_json:
        print_json(dict(measured))
    else:
        for header, rows in measured.tables():
            print_table(header, rows)
    if verify:
        count = measured.verify()
        note(f"{target.name}: all {count} recorded metrics were measured again within tolerance")
