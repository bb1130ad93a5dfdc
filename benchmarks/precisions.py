"""Dynamic int8 against float32 in onnxruntime: a text encoder of MiniLM's size, trained a little to have a metric.

Six layers of 384 in the place of emoji-search's text encoder. The speed is that of one text and of 16 texts of the
longest length; the metric is the share of held-out captions whose picture is among the first ten, in points.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.inference import repeated_calls
from benchmarks.measuring import Comparison, alternating, timed

WIDTH, DEPTH, HEADS, LENGTH = 384, 6, 12, 32
STEPS, BATCH = 150, 64
BATCHES = (1, 16)
CALLS_SECONDS = 0.3
LEAST_SPEED, MOST_POINTS = 2.0, 1.0


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare milliseconds a call, sizes, and recall@10 in points."""
    import numpy as np
    import torch

    from zoo import Recipe, load, open_bundle
    from zoo.discovery.components import make_exporter
    from zoo.discovery.plugins import installed
    from zoo.exporting.bundle import export
    from zoo.runtime.records import Origin
    from zoo.training.train import train

    torch.set_num_threads(1)
    plugins = installed()
    with tempfile.TemporaryDirectory() as folder:
        trained = train(Recipe.read(tables(), "benchmarks/precisions.py"), Path(folder) / "run", plugins=plugins)
        checkpoint = load(trained)
        bundle = Path(folder) / "bundle"
        names = ["encode_caption", "encode_picture"]
        exporter = make_exporter("onnx", plugins)
        manifest = export(
            checkpoint, exporter, bundle, origin=Origin("MiniLM's size"), graphs=names, precisions=["int8"]
        )
        graph = checkpoint.model.graphs(names[:1])[0]
        full, reduced = (open_bundle(bundle, precision=name).graph(graph.name) for name in ("fp32", "int8"))
        for batch in BATCHES:
            arrays = graph.draw(batch, {"caption.length": LENGTH}, np.random.default_rng(0))
            calls = max(1, round(CALLS_SECONDS / timed(lambda arrays=arrays: full(arrays))))
            int8, fp32 = alternating(
                repeated_calls(lambda arrays=arrays: reduced(arrays), calls),
                repeated_calls(lambda arrays=arrays: full(arrays), calls),
                rounds=rounds,
            )
            what = f"text encoder of MiniLM's size, int8 against fp32, {batch} of {LENGTH} tokens, 1 thread"
            yield Comparison(what, calls * batch / int8, calls * batch / fp32, "texts/s", at_least=LEAST_SPEED)
        weights = sum(tensor.nbytes for tensor in graph.module.parameters())
        size = (bundle / f"{graph.name}.int8.onnx").stat().st_size
        yield Comparison("its file, int8 against the weights in fp32", size / 1e6, weights / 1e6, "MB")
        full_metrics, reduced_metrics = (manifest.precisions[name].metrics for name in ("fp32", "int8"))
        for name in (name for name in full_metrics if name.endswith("recall@10")):
            yield Comparison(f"{name} in int8", 100 * reduced_metrics[name], 100 * full_metrics[name], "%")
            lost = 100 * abs(full_metrics[name] - reduced_metrics[name])
            yield Comparison(f"{name}, int8 apart from fp32", lost, None, "points", at_most=MOST_POINTS)


def tables() -> dict[str, object]:
    """Return the recipe."""
    caption = {
        "modality": {"name": "text", "max_length": LENGTH, "vocabulary_size": 1500},
        "encoder": {"name": "transformer", "width": WIDTH, "depth": DEPTH, "heads": HEADS},
    }
    picture = {
        "modality": {"name": "image", "size": 32},
        "encoder": {"name": "convolutional", "channels": [32, 64, 128], "pooling": "mean"},
    }
    return {
        "spec": {"objective": "infonce", "latent_dim": 256, "inputs": {"caption": caption, "picture": picture}},
        "data": {"name": "openmoji", "languages": ["en", "zh"], "size": 32},
        "training": {
            "steps": STEPS,
            "batch_size": BATCH,
            "learning_rate": 3e-4,
            "warmup_steps": 20,
            "schedule": "cosine",
            "checkpoint_every": STEPS,
        },
        "evaluation": {"split": "test", "by": "language"},
    }
