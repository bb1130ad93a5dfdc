"""Makes deployable graphs of encoders and decoders: names, axes and example inputs follow from the modalities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from zoo.modules import Decoder, Encoder, Tensors
from zoo.protocols import Axis, Graph, Modality, TensorSpec

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
    name = f"reconstruct_{input_name}"
    module = _Reconstruct(_Encode(encoder, head, input_name, ""), _Decode(decoder, f"{name}."))
    return _from_input(name, input_name, modality, module, _outputs(name, decoder), encoder, decoder)


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
    def prefixed(axis: str | int) -> str | int:
        return axis if axis == "batch" or isinstance(axis, int) else f"{input_name}.{axis}"

    inputs = {
        f"{input_name}.{tensor}": TensorSpec(spec.dtype, tuple(map(prefixed, spec.axes)), spec.low, spec.high)
        for tensor, spec in modality.tensors.items()
    }
    axes: dict[str, Axis] = {f"{input_name}.{axis}": bounds for axis, bounds in modality.axes.items()}

    def draw(batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> Mapping[str, Array]:
        own = {axis.removeprefix(f"{input_name}."): size for axis, size in sizes.items()}
        return {
            f"{input_name}.{tensor}": array
            for tensor, array in modality.example(batch, own, generator=generator).items()
        }

    return Graph(name, module, inputs, outputs, axes, draw, *_strictness(*parts))


def as_tensors(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    """Return arrays as tensors, by the same names."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
