"""The steps of ``zoo quickstart``, in order; each returns what the page shows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.catalogue.registry import find
from zoo.catalogue.targets import fetch_entry, require_plugins
from zoo.discovery.plugins import Plugins
from zoo.training.runs import read_log

if TYPE_CHECKING:
    from zoo.protocols import Progress
    from zoo.runtime.manifest import Manifest

SEARCH_ENTRY = "emoji-search"
PICTURE_ENTRY = "fashion-vae"
QUERIES = ("red heart", "crying cat", "汽车")
RECALL = "caption_to_picture.recall@10"
CHANCE = "caption_to_picture.chance@10"
PICTURES = "pictures"
_STEPS = 60
_EVALUATIONS = 3


@dataclass(frozen=True)
class ShortTraining:
    """The results of a short training: the loss by step, and by step the recall on unseen emoji by language."""

    losses: Sequence[tuple[int, float]]
    recalls: Sequence[tuple[int, dict[str, float]]]
    chance: float


def train_shortly(folder: Path, plugins: Plugins, advance: Progress, *, steps: int = _STEPS) -> ShortTraining:
    """Train the search entry's recipe for a few steps, and measure recall on unseen emoji on the way."""
    from zoo.evaluation.evaluate import evaluate
    from zoo.evaluation.metrics import by_label
    from zoo.training.train import TakenStep, train

    entry = find(SEARCH_ENTRY, plugins)
    require_plugins(entry, plugins)
    settings = replace(entry.recipe.training, steps=steps)
    recipe = replace(entry.recipe, training=settings)
    recalls: list[tuple[int, dict[str, float]]] = []
    chances: list[float] = []
    wanted = {1, *(round(steps * part / _EVALUATIONS / 10) * 10 for part in range(1, _EVALUATIONS)), steps}

    def observe(taken: TakenStep) -> None:
        if taken.step in wanted:
            measured = evaluate(taken.model, recipe, plugins=plugins)
            recalls.append((taken.step, by_label(measured, RECALL)))
            chances.extend(by_label(measured, CHANCE).values())
        shown = ", ".join(f"{language} {value:.0%}" for language, value in recalls[-1][1].items())
        advance(taken.step, taken.steps, f"loss {taken.terms['loss']:.2f}, recall@10 {shown}")

    train(recipe, folder, observe=observe, plugins=plugins)
    losses = [(int(line["step"]), line["loss"]) for line in read_log(folder / "log.jsonl") if "loss" in line]
    return ShortTraining(losses, recalls, chances[0])


def export_entries(folder: Path, plugins: Plugins, advance: Progress) -> dict[str, Manifest]:
    """Fetch the trained entries, export each with its parity judged, and return the manifests by entry."""
    from zoo.discovery.components import make_exporter
    from zoo.exporting.bundle import export
    from zoo.models.checkpoint import load
    from zoo.runtime.records import Origin

    manifests = {}
    for place, name in enumerate((SEARCH_ENTRY, PICTURE_ENTRY)):
        entry = find(name, plugins)
        advance(place, 2, name)
        origin = Origin(name, entry.license, entry.data_license, entry.revision)
        checkpoint = load(fetch_entry(entry, plugins), plugins=plugins)
        manifests[name] = export(checkpoint, make_exporter("onnx", plugins), folder / name, origin=origin)
        advance(place + 1, 2, name)
    return manifests


def serve_without_torch(folder: Path, queries: Sequence[str] = QUERIES) -> dict[str, Any]:
    """Search and reconstruct in a separate process that never imports torch; return its output."""
    command = [sys.executable, "-m", "zoo.quickstart.serving", str(folder / SEARCH_ENTRY), str(folder / PICTURE_ENTRY)]
    (folder / PICTURES).mkdir(exist_ok=True)
    done = subprocess.run([*command, str(folder / PICTURES), *queries], check=True, stdout=subprocess.PIPE, text=True)
    served: dict[str, Any] = json.loads(done.stdout)
    return served
