"""The description of a registry entry: as an object, as lines, and as tables of its metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from zoo.catalogue.registry import RegistryEntry
from zoo.errors import safe_address
from zoo.evaluation.metrics import chance_beside, tabulated
from zoo.recipes.spec import InputSpec, Part


def described(entry: RegistryEntry) -> dict[str, object]:
    """Return all facts of an entry in the registry, and the path of its picture."""
    picture = entry.installed_picture()
    return {
        **entry.listed(),
        "data_license": entry.data_license,
        "revision": entry.revision,
        "sources": [safe_address(source) for source in entry.sources],
        "plugins": list(entry.plugins),
        "picture": None if picture is None else str(picture),
        "metrics": {name: {"value": m.value, "tolerance": m.tolerance} for name, m in entry.metrics.items()},
        "metrics_command": entry.metrics_command,
        "recipe": entry.recipe.written(),
    }


def facts(entry: RegistryEntry, missing: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield the facts of an entry, one line each: a label, empty if the line continues the one before, and a text."""
    recipe = entry.recipe
    yield "objective", f"{_written(recipe.spec.objective)}, latent of {recipe.spec.latent_dim}"
    for part in recipe.spec.inputs:
        yield from _input(part)
    by = f", by {recipe.evaluation.by}" if recipe.evaluation.by else ""
    yield "data", f"{_written(recipe.data)}; measured on the split {recipe.evaluation.split!r}{by}"
    yield "weights", f"{entry.parameters:,} parameters, {size(entry.size_bytes)}, of {entry.revision}"
    yield "sha256", entry.sha256
    for place, source in enumerate(entry.sources):
        yield "" if place else "sources", safe_address(source)
    yield "licence", f"weights: {entry.license}"
    yield "", f"data: {entry.data_license}"
    yield "needs", ", ".join(entry.plugins) + (f"  (missing: {', '.join(missing)})" if missing else "")


def measured(entry: RegistryEntry) -> list[list[tuple[str, ...]]]:
    """Return the tables of an entry's metrics, each with a header, with the chance level if it is known.

    Metrics of subsets of the inputs make one table, inputs by metrics; other metrics are listed one by one.
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


def size(size_bytes: int) -> str:
    """Return a size for a person: ``1.4 MB``."""
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"


def _input(part: InputSpec) -> Iterator[tuple[str, str]]:
    yield "input", f"{part.name}: {_written(part.modality)}"
    for kind, chosen in (("encoder", part.encoder), ("decoder", part.decoder)):
        if chosen is not None:
            yield "", f"{kind} {_written(chosen)}"


def _written(part: Part) -> str:
    options: Mapping[str, object] = part.options
    given = ", ".join(f"{key} = {value}" for key, value in options.items())
    return f"{part.name} ({given})" if given else part.name
