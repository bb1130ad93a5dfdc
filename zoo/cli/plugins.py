"""``zoo plugins``."""

from __future__ import annotations

from dataclasses import asdict

import click

from zoo.cli.output import note, print_json, print_table
from zoo.verbs.plugins import HEADER, OPTIONS, options, plugins, rows


@click.command("plugins")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def command(name: str | None, as_json: bool) -> None:
    """List the components of the installed plugins, and the plugins that fail.

    With NAME, list the options of the components with this name, or of this distribution: the values that each accepts,
    and its default.
    """
    if name is not None:
        told = options(name)
        if as_json:
            print_json(told.written())
        else:
            print_table(OPTIONS, told.rows())
        return
    found = plugins()
    if as_json:
        print_json([asdict(plugin) for plugin in found.plugins])
        return
    print_table(HEADER, rows(found))
    for plugin in found.faults:
        note(f"{plugin.distribution} {plugin.version} is left out: {plugin.fault}")
