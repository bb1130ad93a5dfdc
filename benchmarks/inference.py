"""Every graph of every entry on onnxruntime, as the zoo serves it, against the same module in torch, on real rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import Comparison, alternating, timed
from zoo.catalogue.registry import RegistryEntry, entries
from zoo.catalogue.targets import fetch_entry
from zoo.discovery.plugins import installed
from zoo.recipes.naming import ENCODE, LATENT, PRESENT, with_owner

if TYPE_CHECKING:
    from zoo import Batch, Graph, Session
    from zoo.models.checkpoint import Checkpoint

THREADS = (1, 2)
BATCHES = (1, 64)
MOST_OF_TORCH = 1.1
# Encoders at batch 1 are to be 1.5 times as fast as torch, at batch 64 no slower than 0.95 times.
MOST_OF_ENCODERS = {1: 0.67, 64: 1.05}
# Of an entry with many alike, one graph of each kind.
MOST_GRAPHS = 12
CALLS_SECONDS = 0.03  # enough calls a round that the clock does not count


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare milliseconds a call for each entry, graph, batch and number of threads."""
    import torch

    before = torch.get_num_threads()
    for entry in entries(installed()).values():
        with tempfile.TemporaryDirectory() as folder:
            yield from _measure_entry(entry, Path(folder), rounds)
    torch.set_num_threads(before)


def _measure_entry(entry: RegistryEntry, folder: Path, rounds: int) -> Iterator[Comparison]:
    import torch

    from zoo import open_bundle

    checkpoint, graphs = deployed(entry, folder / "bundle")
    rows = first_rows(checkpoint, max(BATCHES))
    for threads in THREADS:
        torch.set_num_threads(threads)
        bundle = open_bundle(folder / "bundle", threads=threads)
        for graph in graphs:
            for batch in BATCHES:
                ours, other = calls_in_turn(graph, bundle.graph(graph.name), inputs_of(graph, rows, batch), rounds)
                what = f"{entry.name} {graph.name}, batch {batch}, {threads} thread{'s'[: threads - 1]}"
                most = MOST_OF_ENCODERS[batch] if graph.kind == ENCODE else MOST_OF_TORCH
                yield Comparison(what, 1e3 * ours, 1e3 * other, "ms", at_most=most)


def deployed(entry: RegistryEntry, folder: Path, *, only: str = "") -> tuple[Checkpoint, list[Graph]]:
    """Export an entry's graphs of tensors, or those of the kind ``only``; return its checkpoint and them."""
    from zoo import load
    from zoo.discovery.components import make_exporter
    from zoo.exporting.bundle import export
    from zoo.runtime.records import Origin

    checkpoint = load(fetch_entry(entry, installed()))
    graphs = [graph for graph in checkpoint.model.graphs(raw=False) if graph.kind == only or not only]
    if len(graphs) > MOST_GRAPHS or (only and len(graphs) > 3):
        graphs = list({graph.kind: graph for graph in graphs}.values())
    names = [graph.name for graph in graphs]
    export(checkpoint, make_exporter("onnx", installed()), folder, origin=Origin(entry.name), graphs=names)
    return checkpoint, graphs


def calls_in_turn(graph: Graph, session: Session, arrays: Mapping[str, Any], rounds: int) -> tuple[float, float]:
    """Return the median seconds of one call of the session and of one of the module, each on its own kind of array."""
    import torch

    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}

    def in_torch() -> None:
        with torch.inference_mode():
            graph.module(tensors)

    in_torch()
    calls = max(1, round(CALLS_SECONDS / timed(in_torch)))
    ours, other = alternating(
        repeated_calls(lambda: session(arrays), calls), repeated_calls(in_torch, calls), rounds=rounds
    )
    return ours / calls, other / calls


def repeated_calls(function: Callable[[], object], times: int) -> Callable[[], None]:
    def repeated() -> None:
        for _ in range(times):
            function()

    return repeated


def first_rows(checkpoint: Checkpoint, rows: int) -> Batch:
    """Return the first rows of the split that the entry is measured on."""
    from zoo.discovery.components import make_dataset
    from zoo.models.batches import to_batch

    samples = make_dataset(checkpoint.recipe.data, installed()).split(checkpoint.recipe.evaluation.split)
    return to_batch(samples[:rows], checkpoint.model.modalities)


def inputs_of(graph: Graph, rows: Batch, batch: int) -> Mapping[str, Any]:
    """Return the first ``batch`` rows as the graph takes them; a latent is drawn."""
    import numpy as np

    if LATENT in graph.inputs:
        return graph.draw(batch, {}, np.random.default_rng(0))
    known: dict[str, Any] = {}
    for name, tensors in rows.inputs.items():
        known |= with_owner(name, {**tensors, PRESENT: rows.present[name]})
    return {name: known[name][:batch].numpy() for name in graph.inputs}
