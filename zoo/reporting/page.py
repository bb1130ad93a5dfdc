"""The page at the end of a training: one file without scripts or downloads, with curves, pictures and settings."""

from __future__ import annotations

import base64
import html
import io
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.discovery.components import make_dataset
from zoo.discovery.plugins import Plugins, installed
from zoo.errors import DataError, ZooError
from zoo.evaluation.metrics import CHANCE, metric_name, metric_parts
from zoo.files.store import staged_file
from zoo.models.batches import readable
from zoo.models.checkpoint import Checkpoint, load
from zoo.protocols import Sample
from zoo.recipes.arguments import checked
from zoo.recipes.changes import told
from zoo.reporting.chart import chart
from zoo.reporting.pictures import pictures_of
from zoo.samples.splits import VALIDATION
from zoo.training.choosing import chosen
from zoo.training.runs import CHANGED, UNREAD, Run, read_log

if TYPE_CHECKING:
    from PIL.Image import Image

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #777 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2rem auto; padding: 0 1rem }
h1 { margin-bottom: 0 } h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line) } .note { color: var(--soft) }
figure { margin: 1rem 0 } figure img { max-width: 100%; height: auto } figcaption { color: var(--soft) }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 1rem }
table { border-collapse: collapse; font-size: .9rem } td, th { padding: .25rem .7rem .25rem 0; text-align: left;
vertical-align: top; border-bottom: 1px solid var(--line) } td { overflow-wrap: anywhere }
pre { overflow-x: auto; font-size: .85rem }
"""
_REPORT = "report.html"
_LOOKED_AT = 1000
_log = logging.getLogger(__name__)


@checked
def report(folder: str | os.PathLike[str], *, took_s: float | None = None, plugins: Plugins | None = None) -> Path:
    """Write ``report.html`` into the folder of a run, from its log and its best or newest checkpoint; return its path.

    ``took_s`` is the duration of the training, if known. Parts that cannot be drawn are left out with a warning.
    Raises UsageError if the run holds no checkpoint.
    """
    folder, plugins = Path(folder), plugins or installed()
    weights = chosen(folder).weights
    checkpoint = load(weights, plugins=plugins)
    split, samples = _held_out(checkpoint, plugins)
    if Run(folder).skipped():
        samples = list(readable(samples[:_LOOKED_AT], checkpoint.model.modalities, skip=_pass_over))
    log = read_log(folder / "log.jsonl")
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>{html.escape(folder.name)}</title><style>{STYLE}</style><h1>{html.escape(folder.name)}</h1>",
        _table(_summary(checkpoint, Run(folder), weights, log, split, took_s)),
        *_curves(log),
        *_figures(checkpoint, samples),
        "<h2>Recipe</h2>",
        f"<pre>{html.escape(checkpoint.recipe.toml())}</pre></html>",
    ]
    path = folder / _REPORT
    with staged_file(path) as staging:
        staging.write_text("\n".join(parts), encoding="utf-8", errors="backslashreplace")
    return path


def _held_out(checkpoint: Checkpoint, plugins: Plugins) -> tuple[str, Sequence[Sample]]:
    """Return the first split of the data that training did not use, and its samples."""
    dataset = make_dataset(checkpoint.recipe.data, plugins)
    for split in (VALIDATION, checkpoint.recipe.evaluation.split):
        try:
            samples = dataset.split(split)
        except (ZooError, LookupError):  # the data have no such split
            continue
        if samples:
            return split, samples
    return "train", dataset.split("train")


def _pass_over(sample: Sample, error: DataError) -> None:
    """Do nothing: the training has listed the sample in ``skipped.jsonl``."""


def _summary(
    checkpoint: Checkpoint,
    run: Run,
    weights: Path,
    log: Sequence[Mapping[str, Any]],
    split: str,
    took_s: float | None,
) -> dict[str, str]:
    spec, training = checkpoint.recipe.spec, checkpoint.recipe.training
    last = log[-1]["step"] if log else 0
    rows = {
        "objective": f"{spec.objective.name}, latent of {spec.latent_dim}",
        "inputs": ", ".join(f"{part.name} ({part.modality.name})" for part in spec.inputs),
        "data": f"{checkpoint.recipe.data.name}; pictures below are of the split {split!r}",
        "parameters": f"{checkpoint.model.parameter_count:,}",
        "steps": f"{last:,} of {training.batch_size} rows",
        "checkpoint": str(weights),
        "sha256 of its content": checkpoint.sha256,
    }
    if took_s is not None:
        rows["time"] = f"{took_s:.1f} s"
    if changed := [_changes(line["step"], line[CHANGED]) for line in log if CHANGED in line]:
        rows["changed on the way"] = "; ".join(changed)
    if left := [f"{name}: {_left(one)}" for line in log for name, one in line.get(UNREAD, {}).items()]:
        rows["left out of the data"] = "; ".join(left)
    if skipped := run.skipped():
        rows["skipped samples"] = f"{len(skipped)}, listed in skipped.jsonl"
    return rows


def _left(unread: Mapping[str, Any]) -> str:
    """Return which data of an input are left out, from a line of the log."""
    cut = f"{unread['truncated']} of {unread['values']} values truncated" if unread["truncated"] else ""
    unknown = f"{unread['unknown']} unknown tokens of {unread['tokens']}" if unread.get("unknown") else ""
    return ", ".join(part for part in (cut, unknown) if part)


def _changes(step: int, changed: Mapping[str, Mapping[str, Any]]) -> str:
    return f"after step {step:,} {told({key: (pair['was'], pair['now']) for key, pair in changed.items()})}"


def _curves(log: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a chart for each logged term, then the terms that never changed, in words.

    Held-out measurements with the same name share its chart. So do ``recall@1`` and ``recall@5``, and the chance level
    beside them.
    """
    lines: dict[str, list[tuple[float, float]]] = {}
    for line in log:
        for name, value in line.items():
            if name != "step" and isinstance(value, int | float) and math.isfinite(value):
                lines.setdefault(name, []).append((line["step"], value))
    charts: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, points in lines.items():
        title, label = _place(name, lines)
        charts.setdefault(title, {})[label] = points
    moving = {title: shared for title, shared in charts.items() if not all(map(_is_constant, shared.values()))}
    yield "<h2>Curves</h2><div class='charts'>"
    yield from (chart(title, shared) for title, shared in moving.items())
    yield "</div>"
    still = [name for name, points in lines.items() if _place(name, lines)[0] not in moving]
    if still:
        told = ", ".join(f"{name} {lines[name][0][1]:.4g}" for name in still)
        yield f"<p class='note'>The same at every step: {html.escape(told)}.</p>"


def _is_constant(points: Sequence[tuple[float, float]]) -> bool:
    return len(points) > 1 and len({value for _, value in points}) == 1


def _place(name: str, names: Iterable[str]) -> tuple[str, str]:
    """Return the title of the chart that a logged name belongs to, and the label of its line there."""
    for other in names:
        if name == metric_name(VALIDATION, other):
            return other, VALIDATION
    if metric_name(VALIDATION, name) in names:
        return name, "training"
    of, own, place = metric_parts(name)
    for other in names if own == CHANCE and place else ():
        if other != name and (of, place) == metric_parts(other)[::2]:
            return metric_name(of, metric_parts(other)[1]), CHANCE
    return metric_name(of, own), f"{own}@{place}" if place else own


def _figures(checkpoint: Checkpoint, samples: Sequence[Sample]) -> Iterator[str]:
    """Yield the model's results on held-out samples, up to the first that cannot be drawn."""
    try:
        for picture in pictures_of(checkpoint.model, samples):
            name, _, text = picture.title.partition(": ")
            image = f"<img alt='{html.escape(picture.title)}' src='{data_address(picture.image)}'>"
            yield f"<h2>{html.escape(name)}</h2><figure>{image}<figcaption>{html.escape(text)}</figcaption></figure>"
    except (ZooError, OSError, ValueError) as error:
        _log.warning("the report lacks pictures, since they cannot be drawn: %s", error)
        yield f"<p class='note'>Pictures are left out, since they cannot be drawn: {html.escape(str(error))}</p>"


def _table(rows: Mapping[str, str]) -> str:
    cells = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in rows.items())
    return f"<table>{cells}</table>"


def data_address(picture: Image | Path) -> str:
    """Return a PNG, drawn or on disk, as a data address."""
    if isinstance(picture, Path):
        content = picture.read_bytes()
    else:
        stream = io.BytesIO()
        picture.save(stream, "PNG", optimize=True)
        content = stream.getvalue()
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
