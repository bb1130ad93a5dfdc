"""Every entry's encoders on onnxruntime, as the zoo serves them, against torch.compile, one real row, one thread."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.inference import calls_in_turn, deployed, first_rows, inputs_of
from benchmarks.measuring import Comparison
from zoo.catalogue.registry import entries
from zoo.discovery.plugins import installed

MOST_OF_COMPILED = 0.83  # 1.2 times as fast


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare milliseconds a call."""
    import torch

    from zoo import open_bundle

    torch.set_num_threads(1)
    for entry in entries(installed()).values():
        with tempfile.TemporaryDirectory() as folder:
            checkpoint, graphs = deployed(entry, Path(folder) / "bundle", only="encode")
            bundle = open_bundle(Path(folder) / "bundle")
            rows = first_rows(checkpoint, 1)
            for graph in graphs:
                compiled = dataclasses.replace(graph, module=torch.compile(graph.module))
                arrays = inputs_of(graph, rows, 1)
                ours, other = calls_in_turn(compiled, bundle.graph(graph.name), arrays, rounds)
                what = f"{entry.name} {graph.name}, batch 1, 1 thread, against torch.compile"
                yield Comparison(what, 1e3 * ours, 1e3 * other, "ms", at_most=MOST_OF_COMPILED)
