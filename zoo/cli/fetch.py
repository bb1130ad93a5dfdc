"""``zoo fetch``."""

import functools

import click

from zoo.catalogue.registry import find
from zoo.catalogue.targets import fetch_entry
from zoo.cli.output import note, print_exactly, print_json, progress_bar
from zoo.discovery.plugins import installed


@click.command("fetch")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def command(names: tuple[str, ...], as_json: bool) -> None:
    """Fetch the weights of entries, check them and print their paths."""
    plugins = installed()
    wanted = [find(name, plugins) for name in names]
    fetched = []
    for entry in wanted:
        with progress_bar(entry.name) as advance:
            path = fetch_entry(entry, progress=functools.partial(advance, text="bytes"))
        fetched.append({"name": entry.name, "path": str(path), "size": entry.size_bytes, "sha256": entry.sha256})
        note(f"{entry.name}: {entry.size_bytes} bytes, sha256 as recorded")
    if as_json:
        print_json(fetched)
    else:
        for found in fetched:
            print_exactly(found["path"])
