"""Makes deployable graphs of encoders and decoders: names, axes and example inputs follow from the modalities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from zoo.modules import Decoder, Encoder, Tensors, clean
from zoo.protocols import PRESENT, Axis, Graph, Modality, TensorSpec

if TYPE_CHECKING:
    from zoo.protocols import Array


class _Encode(nn.Module):
    """An encoder, then the head that makes the named outputs."""

    def __init__(self, encoder: Encoder, head: nn.Module, input_name: str, prefix: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.input_name = input_name
        self.prefix = prefix

    def forward(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the outputs of the head by name."""
        features = self.encoder({name.removeprefix(f"{self.input_name}."): tensor for name, tensor in tensors.items()})
        return {f"{self.prefix}{name}": tensor for name, tensor in self.head(features).items()}


class _Decode(nn.Module):
    """The most probable tensors of a latent."""

    def __init__(self, decoder: Decoder, prefix: str) -> None:
        super().__init__()
        self.decoder = decoder
        self.prefix = prefix

    def forward(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the mode of the decoder's likelihood by tensor name."""
        mode = self.decoder(tensors["latent"]).mode()
        return {f"{self.prefix}{name}": tensor for name, tensor in mode.items()}


class _Reconstruct(nn.Module):
    """Encoder, head and decoder in one."""

    def __init__(self, encode: _Encode, decode: _Decode) -> None:
        super().__init__()
        self.encode = encode
        self.decode = decode

    def forward(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the most probable tensors of the latent that the inputs stand for."""
        decoded: dict[str, Tensor] = self.decode(self.encode(tensors))
        return decoded


class Embed(nn.Module):
    """The encoders of all inputs, then what joins them; what stands in a gap is set to zero first."""

    def __init__(self, encoders: Mapping[str, Encoder], joint: nn.Module) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.joint = joint

    def forward(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the outputs of ``joint`` by name."""
        present = {name: tensors[f"{name}.{PRESENT}"] for name in self.encoders}
        own = {
            name: {
                key.removeprefix(f"{name}."): clean(tensor, present[name])
                for key, tensor in tensors.items()
                if key.startswith(f"{name}.") and key != f"{name}.{PRESENT}"
            }
            for name in self.encoders
        }
        return {f"embed.{output}": tensor for output, tensor in self.joint(self.features(own), present).items()}

    def features(self, inputs: Mapping[str, Tensors]) -> dict[str, Tensor]:
        """Return the features of each input."""
        return {name: encoder(inputs[name]) for name, encoder in self.encoders.items()}


def encode_graph(
    input_name: str, modality: Modality, encoder: Encoder, head: nn.Module, outputs: Mapping[str, TensorSpec]
) -> Graph:
    """Return the graph ``encode_<input>``: the input's tensors through ``encoder`` and ``head``.

    ``head`` is a module from features to named tensors; ``outputs`` describes them.
    """
    name = f"encode_{input_name}"
    named = {f"{name}.{output}": spec for output, spec in outputs.items()}
    return _from_input(name, input_name, modality, _Encode(encoder, head, input_name, f"{name}."), named, encoder)


def decode_graph(input_name: str, decoder: Decoder) -> Graph:
    """Return the graph ``decode_<input>``: ``latent`` to the mode of the decoder's likelihood."""
    name = f"decode_{input_name}"
    latent = TensorSpec("float32", ("batch", decoder.latent_dim))

    def draw(batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> Mapping[str, Array]:
        return {"latent": generator.standard_normal((batch, decoder.latent_dim), dtype=np.float32)}

    return Graph(
        name, _Decode(decoder, f"{name}."), {"latent": latent}, _outputs(name, decoder), {}, draw, *_strictness(decoder)
    )


def reconstruct_graph(
    input_name: str, modality: Modality, encoder: Encoder, head: nn.Module, decoder: Decoder
) -> Graph:
    """Return the graph ``reconstruct_<input>``: the input's tensors to the mode of their latent.

    ``head`` is a module from features to named tensors, one of them ``latent``.
    """
    return _through_latent(f"reconstruct_{input_name}", input_name, modality, encoder, head, decoder)


def translate_graph(
    source: str, target: str, modality: Modality, encoder: Encoder, head: nn.Module, decoder: Decoder
) -> Graph:
    """Return the graph ``translate_<source>_to_<target>``: one input's tensors to the other's, through the latent.

    ``modality`` and ``encoder`` are the source's, ``decoder`` is the target's; ``head`` as in ``reconstruct_graph``.
    """
    return _through_latent(f"translate_{source}_to_{target}", source, modality, encoder, head, decoder)


def embed_graph(
    modalities: Mapping[str, Modality],
    encoders: Mapping[str, Encoder],
    joint: nn.Module,
    outputs: Mapping[str, TensorSpec],
) -> Graph:
    """Return the graph ``embed``: the tensors of all inputs, and ``<input>.present`` for each, to one answer.

    ``joint`` is a module from the features and the presence of the inputs, by name, to named tensors, which ``outputs``
    describes. What stands in a row that lacks an input changes nothing.
    """
    parts = [prefixed(name, modality.tensors, modality.axes) for name, modality in modalities.items()]
    inputs = {key: spec for specs, _ in parts for key, spec in specs.items()}
    inputs |= {f"{name}.{PRESENT}": TensorSpec("bool", ("batch",), 0, 1) for name in modalities}
    axes = {key: axis for _, bounds in parts for key, axis in bounds.items()}

    def draw(batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> Mapping[str, Array]:
        arrays: dict[str, Array] = {}
        for name, modality in modalities.items():
            arrays |= _drawn(name, modality, batch, sizes, generator)
            arrays[f"{name}.{PRESENT}"] = generator.random(batch) < 0.7
        return arrays

    named = {f"embed.{output}": spec for output, spec in outputs.items()}
    return Graph("embed", Embed(encoders, joint), inputs, named, axes, draw, *_strictness(*encoders.values()))


def _through_latent(
    name: str, source: str, modality: Modality, encoder: Encoder, head: nn.Module, decoder: Decoder
) -> Graph:
    module = _Reconstruct(_Encode(encoder, head, source, ""), _Decode(decoder, f"{name}."))
    return _from_input(name, source, modality, module, _outputs(name, decoder), encoder, decoder)


def _outputs(name: str, decoder: Decoder) -> dict[str, TensorSpec]:
    return {f"{name}.{output}": spec for output, spec in decoder.tensors.items()}


def _strictness(*parts: Encoder | Decoder) -> tuple[int, str]:
    loosest = max(parts, key=lambda part: part.parity_ulps)
    return loosest.parity_ulps, loosest.parity_reason


def _from_input(
    name: str,
    input_name: str,
    modality: Modality,
    module: nn.Module,
    outputs: Mapping[str, TensorSpec],
    *parts: Encoder | Decoder,
) -> Graph:
    inputs, axes = prefixed(input_name, modality.tensors, modality.axes)

    def draw(batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> Mapping[str, Array]:
        return _drawn(input_name, modality, batch, sizes, generator)

    return Graph(name, module, inputs, outputs, axes, draw, *_strictness(*parts))


def prefixed(
    name: str, tensors: Mapping[str, TensorSpec], axes: Mapping[str, Axis]
) -> tuple[dict[str, TensorSpec], dict[str, Axis]]:
    """Return the tensors and the free axes of an input, with its name as their prefix."""

    def axis_of(axis: str | int) -> str | int:
        return axis if axis == "batch" or isinstance(axis, int) else f"{name}.{axis}"

    inputs = {
        f"{name}.{tensor}": TensorSpec(spec.dtype, tuple(map(axis_of, spec.axes)), spec.low, spec.high)
        for tensor, spec in tensors.items()
    }
    return inputs, {f"{name}.{axis}": bounds for axis, bounds in axes.items()}


def _drawn(
    name: str, modality: Modality, batch: int, sizes: Mapping[str, int], generator: np.random.Generator
) -> dict[str, Array]:
    own = {axis.removeprefix(f"{name}."): size for axis, size in sizes.items() if axis.startswith(f"{name}.")}
    return {f"{name}.{tensor}": array for tensor, array in modality.example(batch, own, generator=generator).items()}


def as_tensors(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    """Return arrays as tensors, by the same names."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
