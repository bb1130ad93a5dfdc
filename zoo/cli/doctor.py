"""``zoo doctor``."""

import click

from zoo.cli.output import note, print_table
from zoo.errors import ZooError
from zoo.verbs.doctor import HEADER, doctor


@click.command("doctor")
@click.option(
    "--limit",
    "limit_s",
    default=30.0,
    show_default=True,
    help="Seconds after which an import of plugins counts as never ending.",
)
def command(limit_s: float) -> None:
    """Report what is installed, what can run here and what conflicts. Exits with 1 if something must be repaired."""
    found = doctor(limit_s=limit_s)
    print_table(HEADER, found.rows)
    for hint in found.hints:
        note(hint)
    if found.troubles:
        raise ZooError("; ".join(found.troubles))
    note("everything that is installed fits together")
