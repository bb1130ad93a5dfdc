"""Layers after pooling, as sentence-transformers folders have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

Activation = Literal["identity", "tanh", "relu", "gelu"]
ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
}


class Dense(nn.Module):
    """Linear layers of the given sizes, each with the activation after it."""

    def __init__(self, width: int, sizes: tuple[int, ...], activation: Activation, *, bias: bool) -> None:
        super().__init__()
        widths = (width, *sizes)
        self.layers = nn.ModuleList(
            nn.Linear(before, after, bias=bias) for before, after in zip(widths, sizes, strict=False)
        )
        self.activation = ACTIVATIONS[activation]()

    def forward(self, features: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch other"]:
        """Return the features of the last layer."""
        for layer in self.layers:
            features = self.activation(layer(features))
        return features
