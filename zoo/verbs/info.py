"""The card of an entry: its facts, the sources of its weights, its metrics, and commands to use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zoo.catalogue.facts import described, facts, measured
from zoo.catalogue.registry import RegistryEntry, find, missing_plugins
from zoo.discovery.plugins import Plugins, installed
from zoo.recipes.arguments import checked
from zoo.recipes.naming import ENCODE, graph_name
from zoo.verbs.texts import aligned, plain

_LABEL = 13


@dataclass(frozen=True, repr=False)
class Card:
    """All facts of an entry, shown as ``zoo info`` prints it; ``missing`` are plugins that it needs."""

    entry: RegistryEntry
    missing: Sequence[str] = ()

    def __repr__(self) -> str:
        return "\n".join(map(plain, self.lines()))

    def lines(self) -> list[str]:
        """Return the lines of the card."""
        entry, picture = self.entry, self.entry.installed_picture()
        said = [*facts(entry, self.missing), *([] if picture is None else [("picture", str(picture))])]
        lines = [f"{entry.name}: {entry.summary}", "", *(f"  {label:<{_LABEL}}{text}" for label, text in said), ""]
        if entry.metrics:
            lines.append(
                f"  measured by `{entry.metrics_command}`; `zoo info {entry.name} --json` shows the tolerances:"
            )
            for table in measured(entry):
                lines += [*(f"    {line}" for line in aligned(table)), ""]
        return [*lines, "  use it:", *(f"    {line}" for line in aligned(_commands(entry)))]

    def written(self) -> dict[str, object]:
        """Return the entry for JSON, with its recipe and all metrics."""
        return described(self.entry)


@checked
def info(entry: str | RegistryEntry, *, plugins: Plugins | None = None) -> Card:
    """Return the card of an entry; ``entry`` is its name, or the entry itself.

    Raises UnknownNameError with the nearest name.
    """
    plugins = plugins or installed()
    found = entry if isinstance(entry, RegistryEntry) else find(entry, plugins)
    return Card(found, missing_plugins(found, plugins))


def _commands(entry: RegistryEntry) -> list[tuple[str, str]]:
    name, first = entry.name, entry.recipe.spec.inputs[0].name
    bundle = f"bundles/{name}"
    return [
        (f"zoo fetch {name}", "the weights, verified"),
        (f"zoo evaluate {name} --verify", "measure again, and compare with the numbers above"),
        (f"zoo export {name} --to onnx --out {bundle}", "a bundle that runs without torch"),
        (f"zoo parity {bundle}", "judge the bundle against torch again"),
        (f"zoo run {bundle} {graph_name(ENCODE, first)} -i {first}=VALUE", "run it"),
        (f"zoo train {name}", f"the same recipe again; `zoo info {name} --recipe` prints it"),
    ]
