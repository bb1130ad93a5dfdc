"""What alignment does without a guard: ``python -m benchmarks.collapse`` trains it with each guard on emoji and names.

It prints a table of held-out figures, and writes how far the pictures' embeddings spread to ``docs/alignment.svg``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import Recipe, load, train
from zoo.components import make_dataset
from zoo.plugins import installed

if TYPE_CHECKING:
    from zoo.model import Model
    from zoo.training import Progress

GUARDS = {"none": "#c0392b", "variance": "#2471a3", "reconstruction": "#1e8449"}
STEPS = 600
LATENT = 64
PICTURE = Path("docs/alignment.svg")
HEADER = ("GUARD", "SPREAD", "EFFECTIVE RANK", "RECALL@10", "CHANCE")
LEFT, TOP, WIDTH, HEIGHT = 60, 20, 520, 220
DECADES = (-4, 1)


def main() -> None:
    """Train once a guard, print the table, write the picture."""
    curves, rows = {}, []
    for guard in GUARDS:
        curve, measured = run(guard)
        curves[guard] = curve
        rows.append(
            (
                guard,
                f"{measured['picture.spread']:.4f}",
                f"{measured['picture.effective_rank']:.1f}",
                f"{measured['caption_to_picture.recall@10']:.1%}",
                f"{measured['caption_to_picture.chance@10']:.1%}",
            )
        )
    for line in (HEADER, *rows):
        print("  ".join(cell.ljust(14) for cell in line).rstrip())
    PICTURE.write_text(picture(curves))


def recipe(guard: str) -> Recipe:
    """Return the recipe: English names and pictures of emoji, small encoders, a decoder each."""
    caption = {
        "modality": {"name": "text", "max_length": 16, "vocabulary_size": 1500},
        "encoder": {"name": "bag-of-embeddings", "width": 128, "depth": 0},
        "decoder": "bag-of-words",
    }
    picture_input = {
        "modality": {"name": "image", "size": 32},
        "encoder": {"name": "mlp", "hidden": [256]},
        "decoder": {"name": "mlp", "hidden": [256]},
    }
    objective = {"name": "alignment", "guard": guard, "guard_weight": 0.02 if guard == "reconstruction" else 1.0}
    inputs = {"caption": caption, "picture": picture_input}
    return Recipe.read(
        {
            "spec": {"objective": objective, "latent_dim": LATENT, "inputs": inputs},
            "data": {"name": "openmoji", "languages": ["en"], "size": 32},
            "training": {"steps": STEPS, "batch_size": 256, "learning_rate": 1e-3, "checkpoint_every": STEPS},
        },
        "benchmarks/collapse.py",
    )


def run(guard: str) -> tuple[list[tuple[int, float]], Mapping[str, float]]:
    """Train with a guard; return the spread of held-out pictures by step, and the metrics at the end."""
    import torch

    from zoo.loading import to_batch

    curve: list[tuple[int, float]] = []
    settings = recipe(guard)
    held_out = make_dataset(settings.data, installed()).split("validation")

    def measured(model: Model) -> Mapping[str, float]:
        return model.objective.metrics([to_batch(held_out, model.modalities)], generator=torch.Generator())

    def observe(progress: Progress) -> None:
        curve.append((progress.step, measured(progress.model)["picture.spread"]))

    with tempfile.TemporaryDirectory() as folder:
        return curve, measured(load(train(settings, Path(folder), observe=observe)).model)


def picture(curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Return the spread over steps, a line a guard, on a logarithmic scale, as SVG."""
    import math

    def across(step: float) -> float:
        return LEFT + WIDTH * step / STEPS

    def down(value: float) -> float:
        low, high = DECADES
        return TOP + HEIGHT * (high - math.log10(max(value, 10.0**low))) / (high - low)

    def text(x: float, y: float, content: Any, anchor: str = "middle", colour: str = "#555") -> str:
        return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{colour}">{content}</text>'

    parts = []
    for decade in range(DECADES[0], DECADES[1] + 1):
        y = down(10.0**decade)
        parts.append(f'<line x1="{LEFT}" y1="{y:.0f}" x2="{LEFT + WIDTH}" y2="{y:.0f}" stroke="#ddd"/>')
        parts.append(text(LEFT - 8, y + 4, f"{10.0**decade:g}", "end"))
    parts += [text(across(step), TOP + HEIGHT + 20, step) for step in range(0, STEPS + 1, 100)]
    parts.append(text(LEFT + WIDTH / 2, TOP + HEIGHT + 42, "step"))
    for guard, curve in curves.items():
        points = " ".join(f"{across(step):.1f},{down(value):.1f}" for step, value in curve)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{GUARDS[guard]}" stroke-width="2"/>')
        step, value = curve[-1]
        parts.append(text(across(step) + 8, down(value) + 4, guard, "start", GUARDS[guard]))
    width, height = LEFT + WIDTH + 120, TOP + HEIGHT + 56
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="13"><rect width="{width}" height="{height}" fill="white"/>{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    main()
