"""The encoder ``image/pretrained``: a model of transformers that reads pictures."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from zoo_image import ImageModality, PixelReader

from zoo import Encoder, Modality, SpecError, Tensors, modality_of
from zoo_transformers.families import config_of, family_of, model_of

Colour = tuple[float, float, float]
_MIDDLE: Colour = (0.5, 0.5, 0.5)


class PretrainedImage(Encoder):
    """A model of transformers on the colours of a picture, from which ``mean`` is taken, then divided by ``std``.

    ``model`` is a type of transformers (``vit``), ``config`` what differs from the defaults of its configuration, and
    ``config_none`` names the keys that are none instead of their default. ``pooling`` is ``cls`` (the class token) or
    ``mean`` (of all patches); a model that joins its patches itself, such as CLIP's, needs none of them. A graph
    resizes pixels of another size, each side separately.

    `zoo import` writes these options and the weights. A model that is built from a recipe alone has random weights.

    Raises SpecError if the type or a key of the configuration is unknown, or if the pictures are grey.
    """

    contract_options = MappingProxyType(
        {
            "config": {
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 32,
                "image_size": 32,
                "patch_size": 8,
            },
        }
    )

    def __init__(
        self,
        modality: Modality,
        *,
        model: str = "vit",
        config: dict[str, Any] = {},  # noqa: B006 - it is never changed, and the default of an option
        config_none: tuple[str, ...] = (),
        pooling: Literal["cls", "mean"] = "cls",
        mean: Colour = _MIDDLE,
        std: Colour = _MIDDLE,
    ) -> None:
        super().__init__()
        image = modality_of(ImageModality, "image", modality, component="the encoder 'pretrained'")
        if image.channels != 3:
            raise SpecError(f"the encoder 'pretrained' reads pictures in colour, got channels {image.channels}; set 3")
        if min(std) <= 0:
            raise SpecError(f"the option 'std' holds numbers above 0, got {list(std)}")
        self.family = family_of(model, "image")
        made = config_of(model, self.family, config, config_none)
        self.read = PixelReader(image)
        self.model = model_of(self.family, made)
        self.pooling = pooling
        self.colours = Colours(mean, std)
        self.feature_dim = made.hidden_size

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return one row of features per picture."""
        found = self.model(pixel_values=self.colours(self.read.intensity(tensors["pixels"])))
        if self.family.pooled:
            features: Tensor = found.pooler_output
            return features
        hidden: Tensor = found.last_hidden_state
        first = self.family.first_position
        return hidden[:, 0] if self.pooling == "cls" else hidden[:, first:].mean(dim=1)


class Colours(nn.Module):
    """Brightness from 0 to 1, less the mean of each colour, divided by its deviation."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Colour, std: Colour) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(
        self, intensity: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Return the numbers that a model reads."""
        return (intensity - self.mean) / self.std
