"""Encode graphs on OpenVINO against onnxruntime, on real rows: each as the zoo opens it, on one thread."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.inference import BATCHES, CALLS_SECONDS, first_rows, inputs_of, repeated_calls
from benchmarks.measuring import Comparison, alternating, timed
from zoo.catalogue.registry import entries
from zoo.catalogue.targets import fetch_entry
from zoo.discovery.plugins import installed

if TYPE_CHECKING:
    from zoo import Graph, RunsArrays

# An embedding of words and convolutions, a transformer on sounds, an MLP.
GRAPHS = {
    "emoji-search": ("encode_caption", "encode_picture"),
    "emoji-speech": ("encode_speech",),
    "fashion-joint": ("encode_picture",),
}


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare milliseconds a call for each graph and batch."""
    from zoo import load

    for name, graphs in GRAPHS.items():
        checkpoint = load(fetch_entry(entries(installed())[name], installed()))
        rows = first_rows(checkpoint, max(BATCHES))
        for graph in checkpoint.model.graphs(graphs):
            opened = {runtime: _opened(graph, runtime) for runtime in ("openvino", "onnx")}
            for batch in BATCHES:
                ours, other = _in_turn(opened, inputs_of(graph, rows, batch), rounds)
                yield Comparison(f"{name} {graph.name}, batch {batch}", 1e3 * ours, 1e3 * other, "ms")


def _opened(graph: Graph, runtime: str) -> RunsArrays:
    from zoo.discovery.components import make_exporter

    exporter = make_exporter(runtime, installed())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"graph{exporter.suffix}"
        exporter.write(graph, path)
        return exporter.open(graph, path)


def _in_turn(opened: Mapping[str, RunsArrays], arrays: Mapping[str, Any], rounds: int) -> tuple[float, float]:
    openvino, onnxruntime = opened["openvino"], opened["onnx"]
    onnxruntime(arrays)
    calls = max(1, round(CALLS_SECONDS / timed(lambda: onnxruntime(arrays))))
    ours, other = alternating(
        repeated_calls(lambda: openvino(arrays), calls),
        repeated_calls(lambda: onnxruntime(arrays), calls),
        rounds=rounds,
    )
    return ours / calls, other / calls
