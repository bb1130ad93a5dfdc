"""The graphs that faults are planted in, each exported once: trained entries, and components with fresh weights."""

import functools
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import onnx
import torch
from torch import nn
from zoo_onnx.exporter import OnnxExporter
from zoo_text.encoders import TransformerEncoder
from zoo_text.lstm import LSTMEncoder
from zoo_text.modality import TextModality

from zoo.catalogue.registry import own_registry, read_registry
from zoo.catalogue.targets import fetch_entry
from zoo.discovery.plugins import installed
from zoo.exporting.judging import make_cases
from zoo.models.checkpoint import load
from zoo.models.graphs import encode_graph
from zoo.protocols import Graph, TensorSpec

ENTRIES = {
    "bag of words": ("emoji-search", "encode_caption"),
    "convolutions": ("emoji-search", "encode_picture"),
    "LSTM": ("text-autoencoder", "encode_caption"),
    "word probabilities": ("text-autoencoder", "decode_caption"),
    "picture decoder": ("fashion-vae", "decode_picture"),
    "molecules": ("molecule-names", "encode_molecule"),
    "speech": ("emoji-speech", "encode_speech"),
    "joint": ("fashion-joint", "embed"),
    "translation": ("fashion-joint", "translate_picture_to_caption"),
    "raw text": ("emoji-search", "encode_caption.raw"),
}


@dataclass(frozen=True)
class Structure:
    """An exported graph, what it is judged on, and what it was translated from."""

    graph: object
    cases: list
    traces: list
    exporter: OnnxExporter
    content: bytes

    @property
    def model(self):
        """A copy of the file, to be spoilt."""
        return onnx.load_from_string(self.content)


@functools.cache
def structure(name):
    """Export a graph, once a session."""
    graph = entry_graph(*ENTRIES[name]) if name in ENTRIES else FRESH[name]()
    exporter = OnnxExporter()
    path = Path(mkdtemp()) / "graph.onnx"
    exporter.write(graph, path)
    return Structure(graph, make_cases(graph), exporter.traces(graph), exporter, path.read_bytes())


@functools.cache
def entry_model(name):
    """Return the model of an entry."""
    return load(fetch_entry(read_registry(own_registry())[name], installed())).model


def entry_graph(entry, name):
    """Return one graph of an entry."""
    (graph,) = entry_model(entry).graphs([name])
    return graph


class WholeNumbers(nn.Module):
    """Six bytes as one number below 2⁴⁸, its remainder and its quotient; no component of the zoo goes above 2³¹.

    Above 2⁵³ onnxruntime's own Mod is off by some.
    """

    def forward(self, tensors):
        powers = 2 ** torch.arange(0, 48, 8)
        number = (tensors["bytes.values"].to(torch.int64) * powers).sum(1)
        return {"remainder": number % 1_000_003, "quotient": number // 1_000_003}


def whole_numbers():
    """Return the graph of whole numbers."""
    outputs = {name: TensorSpec("int64", ("batch",)) for name in ("remainder", "quotient")}
    inputs = {"bytes.values": TensorSpec("uint8", ("batch", 6), 0, 255)}

    def draw(batch, sizes, generator):
        return {"bytes.values": generator.integers(0, 256, (batch, 6), dtype=np.uint8)}

    return Graph("divide", WholeNumbers(), inputs, outputs, {}, draw)


class AsTheyAre(nn.Module):
    """A head that returns the features as they are."""

    def forward(self, features):
        return {"features": features}


def fresh_graph(make_encoder):
    """Return the graph of an encoder of texts with weights drawn from a seed."""
    modality = TextModality(max_length=12, vocabulary_size=40).fit(["the quick brown fox jumps over the lazy dog"] * 2)
    torch.manual_seed(0)
    encoder = make_encoder(modality).eval()
    for weight in encoder.parameters():  # fresh ones are so small that much of the network does nothing yet
        nn.init.normal_(weight, std=0.3)
    outputs = {"features": TensorSpec("float32", ("batch", encoder.feature_dim))}
    return encode_graph("text", modality, encoder, AsTheyAre(), outputs)


FRESH = {
    "transformer": lambda: fresh_graph(lambda modality: TransformerEncoder(modality, width=32, depth=2, heads=4)),
    "two-way LSTM": lambda: fresh_graph(
        lambda modality: LSTMEncoder(modality, width=16, bidirectional=True, embedding_width=16)
    ),
    "whole numbers": whole_numbers,
}
