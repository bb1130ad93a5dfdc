"""Writes the page of a registry file: one section per entry, with its picture, its facts and its metrics.

``python -m zoo.catalogue.gallery registry.toml docs/models.md``

Nothing is measured here; the same registry gives the same page.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from zoo.catalogue.facts import facts, measured
from zoo.catalogue.registry import RegistryEntry, read_registry
from zoo.files.store import staged_file

_INTRODUCTION = """\
# Models

The entries of the registry, as `zoo info NAME` shows them. Each number was measured on held-out data by the command
above its table, which anyone can run again; `zoo info NAME --json` shows how far another measurement may differ.
Likelihoods (`nll`, `reconstruction`, `translation`) are in nats; other metrics that are not fractions, such as
`median_rank`, are counts. [Several inputs](joint.md) explains the metrics of subsets of the inputs.

This page is written by `python -m zoo.catalogue.gallery registry.toml docs/models.md`.
"""
_NEXT = """\
Next: [Your own data](../README.md#your-own-data), from an entry's recipe to your own model.
"""


def catalogue(entries: Sequence[RegistryEntry], folder: Path) -> str:
    """Return the page as Markdown; pictures are referred to from ``folder``, where the page will lie."""
    parts = [_INTRODUCTION]
    for entry in sorted(entries, key=lambda entry: entry.name):
        parts += _section(entry, folder)
    return "\n".join([*parts, _NEXT])


def _section(entry: RegistryEntry, folder: Path) -> Iterator[str]:
    yield f"## {entry.name}\n"
    yield f"{entry.summary}.\n"
    if picture := entry.installed_picture():
        address = Path(os.path.relpath(picture, folder.resolve())).as_posix()
        yield f"![What {entry.name} does with held-out samples]({address})\n"
    yield _table([("", ""), *((label, _code(label, text)) for label, text in facts(entry))])
    if entry.metrics:
        yield f"Measured by `{entry.metrics_command}`:\n"
        for header, *rows in measured(entry):
            yield _table([header, *((f"`{name}`", *rest) for name, *rest in rows)])
    yield f"Train it again with `zoo train {entry.name}`, export it with `zoo export {entry.name} --to onnx`.\n"


def _code(label: str, text: str) -> str:
    return f"`{text}`" if label in ("sha256", "sources") else text.replace("_", r"\_")


def _table(rows: Sequence[Sequence[str]]) -> str:
    header, *others = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([header, "|---" * len(rows[0]) + "|", *others, ""])


@click.command("cataloguing")
@click.argument("registry", type=click.Path(path_type=Path, exists=True))
@click.argument("page", type=click.Path(path_type=Path))
def command(registry: Path, page: Path) -> None:
    """Write PAGE from REGISTRY."""
    with staged_file(page) as staging:
        staging.write_text(catalogue(list(read_registry(registry).values()), page.parent), encoding="utf-8")


if __name__ == "__main__":
    command()
