"""``zoo plugin``: for those who write one."""

from pathlib import Path

import click

from zoo.cli.output import note
from zoo.plugins import installed
from zoo.scaffolding import KINDS, scaffold


@click.group("plugin")
def command() -> None:
    """Write a plugin of one's own."""


@command.command("new")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path(), show_default=True, help="The folder to write into."
)
def new(kind: str, name: str, out: Path) -> None:
    """Write a plugin to start from: it installs, passes its contracts, trains and exports as it stands.

    The path of its folder is printed.
    """
    path = scaffold(kind, name, out, plugins=installed())
    note(f"its README.md says how to install, test, train and export it: {path / 'README.md'}")
    click.echo(path)
