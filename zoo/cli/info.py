"""``zoo info``."""

import click

from zoo.cli.output import print_exactly, print_json, print_lines
from zoo.verbs.info import info


@click.command("info")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the entry as one object.")
@click.option("--recipe", is_flag=True, help="Print only the recipe, as TOML for `zoo train`.")
def command(name: str, as_json: bool, recipe: bool) -> None:
    """Show the card of an entry, or its recipe to start your own from."""
    found = info(name)
    if recipe:
        print_exactly(found.entry.recipe.toml().rstrip("\n"))
    elif as_json:
        print_json(found.written())
    else:
        print_lines(found.lines())
