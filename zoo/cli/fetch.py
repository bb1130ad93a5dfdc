"""``zoo fetch``."""

import click

from zoo.catalogue.registry import find
from zoo.cli.output import note, print_exactly, print_json
from zoo.discovery.plugins import installed
from zoo.verbs.fetch import fetch


@click.command("fetch")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def command(names: tuple[str, ...], as_json: bool) -> None:
    """Fetch the weights of entries, check them and print their paths."""
    plugins = installed()
    wanted = [find(name, plugins) for name in names]
    fetched = []
    for entry in wanted:
        fetched.append(fetch(entry, plugins=plugins))
        note(f"{entry.name}: {entry.size_bytes} bytes, sha256 as recorded")
    if as_json:
        print_json(
            [{"name": one.name, "path": str(one.path), "size": one.size_bytes, "sha256": one.sha256} for one in fetched]
        )
    else:
        for one in fetched:
            print_exactly(one.path)
