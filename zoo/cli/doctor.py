"""``zoo doctor``."""

import click

from zoo.cli.output import note, print_table
from zoo.errors import ZooError
from zoo.verbs.doctor import HEADER, doctor


@click.command("doctor")
@click.option(
    "--limit", default=30.0, show_default=True, help="Seconds after which the import of plugins counts as endless."
)
def command(limit: float) -> None:
    """Tell what is installed, what can run here and what clashes. Exits with 1 where something must be mended."""
    found = doctor(limit_s=limit)
    print_table(HEADER, found.rows)
    for hint in found.hints:
        note(hint)
    if found.troubles:
        raise ZooError("; ".join(found.troubles))
    note("everything that is installed fits together")
