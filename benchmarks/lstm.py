"""Packed LSTMs on onnxruntime, as the zoo serves them, against the same module in torch, on texts of unequal length."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from zoo_text.lstm import LSTMEncoder
from zoo_text.modality import TextModality

from benchmarks.inference import BATCHES, MOST_OF_TORCH, THREADS, calls_in_turn
from benchmarks.measuring import Comparison
from zoo import TensorSpec, encode_graph, open_session
from zoo.discovery.components import make_exporter
from zoo.discovery.plugins import installed

LENGTH = 32
WORDS = 8_000
MODELS = {
    "LSTM(64)": {"width": 64, "embedding_width": 64},
    "two bidirectional LSTMs(128)": {"width": 128, "embedding_width": 300, "depth": 2, "bidirectional": True},
}


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare milliseconds a call for each model, batch and number of threads."""
    before = torch.get_num_threads()
    words = TextModality(max_length=LENGTH).fit([f"word{number}" for number in range(WORDS)])
    exporter = make_exporter("onnx", installed())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        for name, options in MODELS.items():
            torch.manual_seed(0)
            encoder = LSTMEncoder(words, **options).eval()
            outputs = {"features": TensorSpec("float32", ("batch", encoder.feature_dim))}
            graph = encode_graph("text", words, encoder, Features(), outputs)
            exporter.write(graph, path)
            for threads in THREADS:
                torch.set_num_threads(threads)
                session = open_session(
                    path, graph.name, graph.inputs, graph.axes, tuple(graph.outputs), threads=threads
                )
                for batch in BATCHES:
                    arrays = graph.draw(batch, {"text.length": LENGTH}, np.random.default_rng(0))
                    ours, other = calls_in_turn(graph, session, arrays, rounds)
                    what = f"{name}, batch {batch}, {threads} thread{'s'[: threads - 1]}"
                    yield Comparison(what, 1e3 * ours, 1e3 * other, "ms", at_most=MOST_OF_TORCH)
    torch.set_num_threads(before)


class Features(nn.Module):
    """The head of a graph that gives the features themselves."""

    def forward(self, features: Tensor) -> Mapping[str, Tensor]:
        """Name the features."""
        return {"features": features}
