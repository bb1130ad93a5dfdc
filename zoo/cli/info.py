"""``zoo info``."""

import click

from zoo.catalogue.facts import described, facts, measured
from zoo.catalogue.registry import RegistryEntry, find, missing_plugins
from zoo.cli.output import print_exactly, print_json, print_lines
from zoo.discovery.plugins import installed
from zoo.verbs.texts import aligned

_LABEL = 13


@click.command("info")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the entry as one object.")
@click.option("--recipe", is_flag=True, help="Print the recipe alone, as TOML for `zoo train`.")
def command(name: str, as_json: bool, recipe: bool) -> None:
    """Show the card of an entry, or its recipe to start one's own from."""
    plugins = installed()
    entry = find(name, plugins)
    if recipe:
        print_exactly(entry.recipe.toml().rstrip("\n"))
    elif as_json:
        print_json(described(entry))
    else:
        print_lines(card(entry, missing_plugins(entry, plugins)))


def card(entry: RegistryEntry, missing: list[str]) -> list[str]:
    """Return the lines of the page of an entry for a terminal."""
    picture = entry.installed_picture()
    said = [*facts(entry, missing), *([] if picture is None else [("picture", str(picture))])]
    lines = [f"{entry.name}: {entry.summary}", "", *(f"  {label:<{_LABEL}}{text}" for label, text in said), ""]
    if entry.metrics:
        lines.append(f"  measured by `{entry.metrics_command}`; --json tells how far another measurement may lie:")
        for table in measured(entry):
            lines += [*(f"    {line}" for line in aligned(table)), ""]
    return [*lines, "  use it:", *(f"    {line}" for line in aligned(_commands(entry)))]


def _commands(entry: RegistryEntry) -> list[tuple[str, str]]:
    name, first = entry.name, entry.recipe.spec.inputs[0].name
    bundle = f"bundles/{name}"
    return [
        (f"zoo fetch {name}", "the weights, verified"),
        (f"zoo evaluate {name} --verify", "measure again, and compare with the numbers above"),
        (f"zoo export {name} --to onnx --out {bundle}", "a bundle that runs without torch"),
        (f"zoo parity {bundle}", "judge the bundle against torch once more"),
        (f"zoo run {bundle} encode_{first} -i {first}=VALUE", "run it"),
        (f"zoo train {name}", f"the same recipe again; `zoo info {name} --recipe` prints it"),
    ]
