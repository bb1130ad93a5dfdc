"""What alignment does without a guard: ``python -m benchmarks.collapse`` trains it with each guard on emoji and names.

It prints a table of held-out figures, and writes how far the pictures' embeddings spread to ``docs/alignment.svg``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import Recipe, load
from zoo.discovery.components import make_dataset
from zoo.discovery.plugins import installed
from zoo.reporting.chart import chart
from zoo.training.train import train

if TYPE_CHECKING:
    from zoo.models.build import Model
    from zoo.training.train import TakenStep

GUARDS = ("none", "variance", "reconstruction")
STEPS = 600
LATENT = 64
PICTURE = Path("docs/alignment.svg")
HEADER = ("GUARD", "SPREAD", "EFFECTIVE RANK", "RECALL@10", "CHANCE")


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

    from zoo.models.batches import to_batch

    curve: list[tuple[int, float]] = []
    settings = recipe(guard)
    held_out = make_dataset(settings.data, installed()).split("validation")

    def measured(model: Model) -> Mapping[str, float]:
        return model.objective.metrics([to_batch(held_out, model.modalities)], generator=torch.Generator())

    def observe(taken: TakenStep) -> None:
        curve.append((taken.step, measured(taken.model)["picture.spread"]))

    with tempfile.TemporaryDirectory() as folder:
        return curve, measured(load(train(settings, Path(folder), observe=observe)).model)


def picture(curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Return the spread over steps, one line per guard, as self-contained SVG."""
    drawn = chart("spread of the pictures' embeddings", curves)
    own = "<svg xmlns='http://www.w3.org/2000/svg' font-family='sans-serif' style='background: white; color: #333' "
    return f"{drawn.replace('<svg ', own, 1)}\n"


if __name__ == "__main__":
    main()
