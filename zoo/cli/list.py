"""``zoo list``."""

import click

from zoo.catalogue.registry import SORT_KEYS
from zoo.cli.output import print_json, print_table
from zoo.verbs.entries import entries


@click.command("list")
@click.option("--modality", help="Only entries with an input of this modality.")
@click.option("--objective", help="Only entries with this objective.")
@click.option("--license", help="Only entries whose weights have this licence.")
@click.option("--max-size", help="Only entries whose weights are at most this large, as in 20MB.")
@click.option("--sort", type=click.Choice(SORT_KEYS), default="name", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def command(
    modality: str | None,
    objective: str | None,
    license: str | None,
    max_size: str | None,
    sort: str,
    as_json: bool,
) -> None:
    """List the entries of the registry."""
    found = entries(modality=modality, objective=objective, license=license, max_size=max_size, sort=sort)
    if as_json:
        print_json([entry.listed() for entry in found.values()])
    else:
        print_table(found.header, found.rows())
