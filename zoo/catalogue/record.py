"""Records a trained checkpoint as an entry of a registry file: every number in it is measured here.

``python -m zoo.catalogue.record registry.toml NAME RUN --source package:zoo_birds/weights/NAME.safetensors``

The recipe is the checkpoint's own. Facts that only a person knows (summary, licences) are given once and kept
afterwards. If the source is a file of this machine, the weights are copied there, and a picture of the model's results
on held-out samples is drawn beside them.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import tomlkit
from filelock import FileLock

from zoo.catalogue.targets import resolve
from zoo.discovery.plugins import Plugins, installed
from zoo.errors import DataError, UsageError, ZooError
from zoo.evaluation.evaluate import evaluate
from zoo.files.fetching import locate
from zoo.files.home import lock_file
from zoo.files.store import digest, staged_file
from zoo.models.checkpoint import Checkpoint, load
from zoo.recipes.spec import ModelSpec, Part
from zoo.recipes.tables import SCHEMA
from zoo.reporting.card_pictures import card_png

_ABSOLUTE, _RELATIVE = 0.01, 0.02


def described(checkpoint: Checkpoint, path: Path, name: str, plugins: Plugins) -> dict[str, Any]:
    """Return the measurable facts of a checkpoint: recipe, parameters, size, sha256, metrics, the plugins it needs."""
    metrics = evaluate(checkpoint.model, checkpoint.recipe, plugins=plugins)
    found = digest(path)
    return {
        "parameters": checkpoint.model.parameter_count,
        "size": found.size_bytes,
        "sha256": found.sha256,
        "revision": datetime.now(UTC).strftime("%Y-%m-%d"),
        "plugins": needed(checkpoint.recipe.spec, checkpoint.recipe.data, plugins),
        "metrics_command": f"zoo evaluate {name}",
        "metrics": {
            metric: {"value": round(value, 6), "tolerance": tolerance(value)} for metric, value in metrics.items()
        },
        "recipe": checkpoint.recipe.written(),
    }


def tolerance(value: float) -> float:
    """Return how far another measurement may lie: 0.01 for fractions (a tenth of small ones), 2 % of values above 1."""
    return round(min(_ABSOLUTE, 0.1 * abs(value)) if abs(value) <= 1 else _RELATIVE * abs(value), 6)


def needed(spec: ModelSpec, data: Part, plugins: Plugins) -> list[str]:
    """Return the distributions whose components a spec and its data name."""
    wanted = [("objective", spec.objective.name), ("dataset", data.name)]
    for entry in spec.inputs:
        wanted.append(("modality", entry.modality.name))
        wanted += [
            (kind, f"{entry.modality.name}/{part.name}")
            for kind, part in (("encoder", entry.encoder), ("decoder", entry.decoder))
            if part is not None
        ]
    return sorted({plugins.find(kind, name).distribution for kind, name in wanted})


def record(registry: Path, name: str, said: Mapping[str, Any], measured: Mapping[str, Any]) -> None:
    """Write an entry into a registry file; other entries and comments stay as they are.

    Processes take turns, so that no change of another process is lost.
    """
    with FileLock(lock_file(hashlib.sha256(bytes(registry.resolve())).hexdigest())):
        _record(registry, name, said, measured)


def _record(registry: Path, name: str, said: Mapping[str, Any], measured: Mapping[str, Any]) -> None:
    document = tomlkit.parse(registry.read_text()) if registry.exists() else tomlkit.document()
    if others := [key for key in document if key not in ("schema", "entries")]:
        raise UsageError(f"{registry} is not a registry: it has {', '.join(map(repr, others))}; name another file")
    document.setdefault("schema", SCHEMA)
    entries = document.setdefault("entries", tomlkit.table(is_super_table=True))
    kept = entries.get(name, {})
    first = {key: said.get(key) or kept.get(key) for key in ("summary", "license", "data_license", "sources")}
    missing = [key for key, value in first.items() if not value]
    if missing:
        raise UsageError(
            f"{name} is new in {registry}: give --{' and --'.join(key.replace('_', '-') for key in missing)}"
        )
    if picture := said.get("picture") or kept.get("picture"):
        first["picture"] = picture
    metrics = tomlkit.table()
    for metric, pair in measured["metrics"].items():
        line = tomlkit.inline_table()
        line.update(pair)
        metrics[metric] = line
    metrics.add(tomlkit.nl())
    entries[name] = tomlkit.item({**first, **{key: value for key, value in measured.items() if key != "metrics"}})
    entries[name]["metrics"] = metrics
    with staged_file(registry) as staging:
        staging.write_text(f"{tomlkit.dumps(document).rstrip()}\n")


@contextmanager
def _told() -> Iterator[None]:
    """Leave with the message and the exit code of an error, without a traceback."""
    try:
        yield
    except ZooError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from error


@click.command("record")
@click.argument("registry", type=click.Path(path_type=Path))
@click.argument("name")
@click.argument("run", type=click.Path(path_type=Path, exists=True), metavar="RUN|CHECKPOINT")
@click.option("--summary", help="The model in one line.")
@click.option("--license", "license_name", help="The licence of the weights.")
@click.option("--data-license", help="The licence of the data.")
@click.option("--source", "sources", multiple=True, help="Where the weights are fetched from; may be repeated.")
@_told()
def command(
    registry: Path,
    name: str,
    run: Path,
    summary: str | None,
    license_name: str | None,
    data_license: str | None,
    sources: tuple[str, ...],
) -> None:
    """Measure a model, copy it to its first source if that is a file of this machine, draw it, and record it.

    The summary, the licences and the sources are kept if an entry of this name is recorded again.
    """
    plugins = installed()
    said = {"summary": summary, "license": license_name, "data_license": data_license, "sources": list(sources)}
    checkpoint = resolve(str(run), plugins).weights
    loaded = load(checkpoint, plugins=plugins)
    measured = described(loaded, checkpoint, name, plugins)
    place = locate(sources[0], registry.parent) if sources else None
    if isinstance(place, Path):
        try:
            picture = card_png(loaded, plugins)
            with staged_file(place.with_suffix(".png")) as staging:
                staging.write_bytes(picture)
            said["picture"] = f"{sources[0].removesuffix(place.suffix)}.png"
        except DataError as error:
            click.echo(f"{name} has no picture: {error}", err=True)
        if checkpoint.resolve() != place.resolve():
            with staged_file(place) as staging:
                shutil.copyfile(checkpoint, staging)
    record(registry, name, said, measured)


if __name__ == "__main__":
    command()
