"""``zoo plugins``."""

from dataclasses import asdict

import click

from zoo.cli.output import note, print_json, print_table
from zoo.discovery.plugins import KINDS, installed


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def command(as_json: bool) -> None:
    """List what the installed plugins register, and which of them fail."""
    found = installed()
    if as_json:
        print_json([asdict(plugin) for plugin in found.plugins])
        return
    rows = [
        (kind, component.name, plugin.distribution, plugin.version)
        for kind in KINDS
        for plugin in found.plugins
        for component in plugin.components
        if component.kind == kind
    ]
    print_table(("KIND", "NAME", "DISTRIBUTION", "VERSION"), rows)
    for plugin in found.faults:
        note(f"{plugin.distribution} {plugin.version} is out: {plugin.fault}")
