"""Makes deployable graphs of encoders and decoders: the modalities decide names, axes and example inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import SpecError
from zoo.modules import Decoder, Encoder, Tensors, zeros_where_absent
from zoo.protocols import Axis, Graph, Modality, Stage, TensorSpec
from zoo.recipes.naming import (
    DECODE,
    EMBED,
    ENCODE,
    LATENT,
    PRESENT,
    RECONSTRUCT,
    TRANSLATE,
    graph_name,
    of_owner,
    tensor_name,
    with_owner,
)

if TYPE_CHECKING:
    from zoo.protocols import Array


class _Encode(nn.Module):
    """An encoder, then the head that makes the named outputs."""

    def __init__(self, encoder: Encoder, head: nn.Module, input_name: str, graph: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.input_name = input_name
        self.graph = graph

    def forward(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the outputs of the head by name."""
        features = self.encoder(of_owner(self.input_name, tensors))
        return with_owner(self.graph, self.head(features))


class _Decode(nn.Module):
    """The most probable tensors of a latent."""

    def __init__(self, decoder: Decoder, graph: str) -> None:
        super().__init__()
        self.decoder = decoder
        self.graph = graph

    def forward(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the mode of the decoder's likelihood by tensor name."""
        return with_owner(self.graph, self.decoder(tensors[LATENT]).mode())


class _ThroughLatent(nn.Module):
    """Two graphs in one: the second takes the latent of the first."""

    def __init__(self, encode: nn.Module, decode: nn.Module, latent: str, outputs: Mapping[str, str]) -> None:
        super().__init__()
        self.encode = encode
        self.decode = decode
        self.latent = latent
        self.outputs = outputs

    def forward(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the most probable tensors of the latent of the inputs."""
        made = self.decode({LATENT: self.encode(tensors)[self.latent]})
        return {self.outputs[name]: tensor for name, tensor in made.items()}


class Embed(nn.Module):
    """The encoders of all inputs, then the module that joins them; missing values are set to zero first."""

    def __init__(self, encoders: Mapping[str, Encoder], joint: nn.Module) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.joint = joint

    def forward(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the outputs of ``joint`` by name."""
        present = {name: tensors[tensor_name(name, PRESENT)] for name in self.encoders}
        own = {
            name: {
                leaf: zeros_where_absent(tensor, present[name])
                for leaf, tensor in of_owner(name, tensors).items()
                if leaf != PRESENT
            }
            for name in self.encoders
        }
        return with_owner(EMBED, self.joint(self.features(own), present))

    def features(self, inputs: Mapping[str, Tensors]) -> dict[str, Tensor]:
        """Return the features of each input."""
        return {name: encoder(inputs[name]) for name, encoder in self.encoders.items()}


def encode_graph(
    input_name: str, modality: Modality, encoder: Encoder, head: nn.Module, outputs: Mapping[str, TensorSpec]
) -> Graph:
    """Return the graph ``encode_<input>``: the input's tensors through ``encoder`` and ``head``.

    ``head`` is a module from features to named tensors; ``outputs`` describes them.
    """
    name = graph_name(ENCODE, input_name)
    inputs, axes = prefixed(input_name, modality.tensors, modality.axes)

    def draw(batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> Mapping[str, Array]:
        return _drawn(input_name, modality, batch, sizes, generator)

    module = _Encode(encoder, head, input_name, name)
    named = with_owner(name, outputs)
    return Graph(name, module, inputs, named, axes, draw, *_strictness(encoder), kind=ENCODE, source=input_name)


def decode_graph(input_name: str, decoder: Decoder) -> Graph:
    """Return the graph ``decode_<input>``: from ``latent`` to the mode of the decoder's likelihood."""
    name = graph_name(DECODE, target=input_name)
    latent = TensorSpec("float32", ("batch", decoder.latent_dim))

    def draw(batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> Mapping[str, Array]:
        return {LATENT: generator.standard_normal((batch, decoder.latent_dim), dtype=np.float32)}

    outputs = with_owner(name, decoder.tensors)
    strictness = _strictness(decoder)
    module = _Decode(decoder, name)
    return Graph(name, module, {LATENT: latent}, outputs, {}, draw, *strictness, kind=DECODE, target=input_name)


def reconstruct_graph(input_name: str, encode: Graph, decode: Graph) -> Graph:
    """Return the graph ``reconstruct_<input>``: from the input's tensors to the mode of their latent.

    ``encode`` and ``decode`` are the graphs of that input. Raises SpecError if ``encode`` has no output ``latent``.
    """
    return _through_latent(RECONSTRUCT, input_name, input_name, encode, decode)


def translate_graph(source: str, target: str, encode: Graph, decode: Graph) -> Graph:
    """Return the graph ``translate_<source>_to_<target>``: from one input's tensors to another's, through the latent.

    ``encode`` is the graph of the source, ``decode`` that of the target. Raises SpecError if ``encode`` has no output
    ``latent``.
    """
    return _through_latent(TRANSLATE, source, target, encode, decode)


def embed_graph(
    modalities: Mapping[str, Modality],
    encoders: Mapping[str, Encoder],
    joint: nn.Module,
    outputs: Mapping[str, TensorSpec],
) -> Graph:
    """Return the graph ``embed``: from the tensors of all inputs, and ``<input>.present`` for each, to one result.

    ``joint`` is a module that takes the features and the presence of the inputs, by name, and returns the named tensors
    that ``outputs`` describes. If a row lacks an input, the values in its place have no effect.
    """
    parts = [prefixed(name, modality.tensors, modality.axes) for name, modality in modalities.items()]
    inputs = {key: spec for specs, _ in parts for key, spec in specs.items()}
    inputs |= {tensor_name(name, PRESENT): TensorSpec("bool", ("batch",), 0, 1) for name in modalities}
    axes = {key: axis for _, bounds in parts for key, axis in bounds.items()}

    def draw(batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> Mapping[str, Array]:
        arrays: dict[str, Array] = {}
        for name, modality in modalities.items():
            arrays |= _drawn(name, modality, batch, sizes, generator)
            arrays[tensor_name(name, PRESENT)] = generator.random(batch) < 0.7
        return arrays

    strictness = _strictness(*encoders.values())
    named = with_owner(EMBED, outputs)
    return Graph(EMBED, Embed(encoders, joint), inputs, named, axes, draw, *strictness, kind=EMBED)


def _through_latent(kind: str, source: str, target: str, encode: Graph, decode: Graph) -> Graph:
    name, latent = graph_name(kind, source, target), tensor_name(encode.name, LATENT)
    if latent not in encode.outputs:
        raise SpecError(f"the graph {name!r} takes a latent, {encode.name!r} gives {', '.join(encode.outputs)}")
    outputs = {
        tensor_name(decode.name, leaf): tensor_name(name, leaf) for leaf in of_owner(decode.name, decode.outputs)
    }
    return Graph(
        name,
        _ThroughLatent(encode.module, decode.module, latent, outputs),
        encode.inputs,
        {outputs[output]: spec for output, spec in decode.outputs.items()},
        encode.axes,
        encode.draw,
        *_strictness(encode, decode),
        stages=(Stage(encode, "encode"), Stage(decode, "decode", {LATENT: latent, **outputs})),
        kind=kind,
        source=source,
        target=target,
    )


def _strictness(*parts: Encoder | Decoder | Graph) -> tuple[int, str]:
    loosest = max(parts, key=lambda part: part.parity_ulps)
    return loosest.parity_ulps, loosest.parity_reason


def prefixed(
    name: str, tensors: Mapping[str, TensorSpec], axes: Mapping[str, Axis]
) -> tuple[dict[str, TensorSpec], dict[str, Axis]]:
    """Return the tensors and the free axes of an input, their names prefixed with the input's name."""

    def axis_of(axis: str | int) -> str | int:
        return axis if axis == "batch" or isinstance(axis, int) else tensor_name(name, axis)

    own = {leaf: replace(spec, axes=tuple(map(axis_of, spec.axes))) for leaf, spec in tensors.items()}
    return with_owner(name, own), with_owner(name, axes)


def _drawn(
    name: str, modality: Modality, batch: int, sizes: Mapping[str, int], generator: np.random.Generator
) -> dict[str, Array]:
    return with_owner(name, modality.example(batch, of_owner(name, sizes), generator=generator))


def graph_of(graphs: Iterable[Graph], kind: str, *, source: str = "", target: str = "") -> Graph | None:
    """Return the first graph of a kind that reads and makes these inputs, None if there is none."""
    wanted = kind, source, target
    return next((graph for graph in graphs if (graph.kind, graph.source, graph.target) == wanted), None)


def as_tensors(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    """Return arrays as tensors, by the same names."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Set a module to evaluation mode, as deployed, without gradients; afterwards each part has its old mode."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes:
            part.training = training
