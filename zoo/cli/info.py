"""``zoo info``."""

from collections.abc import Iterator, Mapping, Sequence

import click

from zoo.cli.output import aligned, print_exactly, print_json, print_lines, size
from zoo.metrics import chance_beside, tabulated
from zoo.plugins import installed
from zoo.redacting import told
from zoo.registry import RegistryEntry, find, missing_plugins
from zoo.spec import InputSpec, Part

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


def described(entry: RegistryEntry) -> dict[str, object]:
    """Return all that the registry says of an entry, and where its picture lies."""
    picture = entry.installed_picture()
    return {
        **entry.listed(),
        "data_license": entry.data_license,
        "revision": entry.revision,
        "sources": [told(source) for source in entry.sources],
        "plugins": list(entry.plugins),
        "picture": None if picture is None else str(picture),
        "metrics": {name: {"value": m.value, "tolerance": m.tolerance} for name, m in entry.metrics.items()},
        "metrics_command": entry.metrics_command,
        "recipe": entry.recipe.written(),
    }


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


def facts(entry: RegistryEntry, missing: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield what an entry is, a line each: a label, empty where the line belongs to the one before, and a text."""
    recipe = entry.recipe
    yield "objective", f"{_written(recipe.spec.objective)}, latent of {recipe.spec.latent_dim}"
    for part in recipe.spec.inputs:
        yield from _input(part)
    by = f", by {recipe.evaluation.by}" if recipe.evaluation.by else ""
    yield "data", f"{_written(recipe.data)}; measured on the split {recipe.evaluation.split!r}{by}"
    yield "weights", f"{entry.parameters:,} parameters, {size(entry.size_bytes)}, of {entry.revision}"
    yield "sha256", entry.sha256
    for place, source in enumerate(entry.sources):
        yield "" if place else "sources", told(source)
    yield "licence", f"weights: {entry.license}"
    yield "", f"data: {entry.data_license}"
    yield "needs", ", ".join(entry.plugins) + (f"  (missing: {', '.join(missing)})" if missing else "")


def _input(part: InputSpec) -> Iterator[tuple[str, str]]:
    yield "input", f"{part.name}: {_written(part.modality)}"
    for kind, chosen in (("encoder", part.encoder), ("decoder", part.decoder)):
        if chosen is not None:
            yield "", f"{kind} {_written(chosen)}"


def _written(part: Part) -> str:
    options: Mapping[str, object] = part.options
    given = ", ".join(f"{key} = {value}" for key, value in options.items())
    return f"{part.name} ({given})" if given else part.name


def measured(entry: RegistryEntry) -> list[list[tuple[str, ...]]]:
    """Return the tables of an entry's metrics, a header first in each, with what chance gives where that is known.

    What was measured of subsets of the inputs makes one table, inputs by metrics; other metrics are told one by one.
    """
    values = {name: metric.value for name, metric in entry.metrics.items()}
    table, others = tabulated(values, [part.name for part in entry.recipe.spec.inputs])
    chances = {name: chance_beside(name, values) for name in others}
    header = ("metric", "value", "within", *(["by chance"] if any(chances.values()) else []))
    cells = [
        (
            name,
            f"{values[name]:.4g}",
            f"± {entry.metrics[name].tolerance:.2g}",
            f"{values[chance]:.4g}" if (chance := chances[name]) else "",
        )
        for name in others
    ]
    return [*([table] if table else []), *([[header, *(row[: len(header)] for row in cells)]] if cells else [])]


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
