"""``zoo plugin``: for authors of plugins."""

from pathlib import Path

import click

from zoo.cli.output import note, print_exactly, print_json, print_table
from zoo.errors import PluginError
from zoo.scaffolding import KINDS
from zoo.verbs.authoring import HEADER, check_plugin, new_plugin


@click.group("plugin")
def command() -> None:
    """Write your own plugin, and check it against its contracts."""


@command.command("new")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path(), show_default=True, help="The folder to write into."
)
def new(kind: str, name: str, out: Path) -> None:
    """Write a plugin to start from.

    It installs, passes its contracts, trains and exports without changes. The path of its folder is printed.
    """
    path = new_plugin(kind, name, out)
    note(f"its README.md says how to install, test, train and export it: {path / 'README.md'}")
    print_exactly(path)


@command.command("check")
@click.argument("distribution")
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def check(distribution: str, as_json: bool) -> None:
    """Check an installed distribution against its contracts.

    All its components are built with their defaults and tested. Exits with 1 if a test fails.
    """
    found = check_plugin(distribution)
    if as_json:
        print_json(found.written())
    else:
        print_table(HEADER, found.rows())
    for checked in found:
        for test, reason in checked.excepted:
            note(f"{checked.name} is excepted from {test}: {reason}")
        for reason in checked.stated:
            note(f"{checked.name} states {reason}")
    if failures := found.failures:
        raise PluginError(f"{distribution} fails {len(failures)} tests of its contracts; the first is {failures[0]}")
