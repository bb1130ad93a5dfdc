"""How long ``zoo list`` takes over a large registry."""

from __future__ import annotations

import hashlib
import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomlkit

from benchmarks.commands import answer, zoo_command
from benchmarks.measuring import Comparison, timed

ENTRIES = 1_000
MOST_SECONDS = 0.5


def measure(rounds: int) -> Iterator[Comparison]:
    """Time the whole command, its start included."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.toml"
        path.write_text(registry(ENTRIES))
        env = {**os.environ, "ZOO_REGISTRY": str(path)}

        def listed() -> str:
            return answer(zoo_command("list"), env)

        if listed().count("\n") <= ENTRIES:
            raise RuntimeError(f"zoo list shows fewer than the {ENTRIES} entries of {path}")
        seconds = statistics.median(timed(listed) for _ in range(rounds))
    yield Comparison(f"zoo list, {ENTRIES:,} entries", seconds, None, "s", at_most=MOST_SECONDS)


def registry(entries: int) -> str:
    """Return a registry file: entries like the zoo's own, each with its whole recipe."""
    return tomlkit.dumps(
        {"schema": 1, "entries": {f"emoji-search-{number}": _entry(number) for number in range(entries)}}
    )


def _entry(number: int) -> dict[str, Any]:
    name = f"emoji-search-{number}"
    caption = {
        "modality": {"name": "text", "max_length": 24, "vocabulary_size": 8192},
        "encoder": {"name": "transformer", "width": 128, "depth": 2, "heads": 4},
    }
    picture = {
        "modality": {"name": "image", "size": 32},
        "encoder": {"name": "convolutional", "channels": [32, 64, 128], "depth": 1, "pooling": "mean"},
    }
    recipe = {
        "schema": 1,
        "spec": {"objective": "infonce", "latent_dim": 128, "inputs": {"caption": caption, "picture": picture}},
        "data": {"name": "openmoji", "languages": ["en", "zh", "de"]},
        "training": {"steps": 3000, "batch_size": 256, "learning_rate": 1e-3, "schedule": "cosine", "seed": number},
        "evaluation": {"split": "test", "by": "language"},
    }
    metric = {"value": 0.612345, "tolerance": 0.01}
    return {
        "summary": f"Search over emoji in three languages, trained with seed {number}",
        "license": "CC-BY-SA-4.0",
        "data_license": "CC-BY-SA-4.0",
        "sources": [f"package:zoo_datasets/weights/{name}.safetensors", f"https://example.org/{name}.safetensors"],
        "parameters": 1_234_567 + number,
        "size": 4_938_268 + number,
        "sha256": hashlib.sha256(name.encode()).hexdigest(),
        "revision": "2026-01-01",
        "plugins": ["modalzoo-crossmodal", "modalzoo-datasets", "modalzoo-image", "modalzoo-text"],
        "metrics_command": f"zoo evaluate {name}",
        "metrics": {f"recall@{k} {language}": metric for k in (1, 10) for language in ("en", "zh", "de")},
        "recipe": recipe,
    }
