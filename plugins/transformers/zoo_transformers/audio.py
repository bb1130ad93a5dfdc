"""The encoder ``audio/pretrained``: a model of transformers that reads the samples of a sound."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad
from zoo_audio import AudioModality

from zoo import Encoder, Modality, SpecError, Tensors, modality_of
from zoo_transformers.families import config_of, family_of, model_of
from zoo_transformers.pooling import Pooling

SMALLEST_VARIANCE = 1e-7


class PretrainedAudio(Encoder):
    """A model of transformers on samples; the features are the mean over its frames.

    ``model`` is a type of transformers (``wav2vec2``), ``config`` what differs from the defaults of its configuration,
    and ``config_none`` names the keys that are none instead of their default. With ``normalise`` the samples of each
    sound are shifted and scaled to the mean 0 and the variance 1 first. A sound that is shorter than one frame counts
    as one.

    `zoo import` writes these options and the weights. A model that is built from a recipe alone has random weights.

    Raises SpecError if the type or a key of the configuration is unknown, or if the model normalises over the time of a
    whole batch row, padding included (``feat_extract_norm = "group"``): its features would depend on the padding.
    """

    contract_options = MappingProxyType(
        {
            "config": {
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 32,
                "conv_dim": [16, 16],
                "conv_stride": [80, 4],
                "conv_kernel": [100, 4],
                "num_conv_pos_embeddings": 4,
                "num_conv_pos_embedding_groups": 2,
                "feat_extract_norm": "layer",
                "attention_dropout": 0.0,
                "layerdrop": 0.0,
            },
        }
    )

    def __init__(
        self,
        modality: Modality,
        *,
        model: str = "wav2vec2",
        config: dict[str, Any] = {"feat_extract_norm": "layer"},  # noqa: B006 - it is never changed
        config_none: tuple[str, ...] = (),
        normalise: bool = True,
    ) -> None:
        super().__init__()
        modality_of(AudioModality, "audio", modality, component="the encoder 'pretrained'")
        self.family = family_of(model, "audio")
        made = config_of(model, self.family, config, config_none)
        if made.feat_extract_norm != "layer":
            raise SpecError(
                f"the option 'config' has feat_extract_norm {made.feat_extract_norm!r}, by which padding changes the "
                "features; models with 'layer' can be used, such as wav2vec2-large-960h-lv60 and hubert-large-ll60k"
            )
        self.normalise = normalise
        self.model: Any = model_of(self.family, made)
        for name, parameter in self.model.named_parameters():
            if name == "masked_spec_embed":  # for a task in which frames are hidden from the model
                parameter.requires_grad_(False)
        self.strides = tuple(zip(made.conv_kernel, made.conv_stride, strict=True))
        self.pooling = Pooling("mean", made.hidden_size)
        self.feature_dim = made.hidden_size

    @property
    def frame_samples(self) -> int:
        """The samples that one frame sees."""
        samples = 1
        for kernel, stride in reversed(self.strides):
            samples = (samples - 1) * stride + kernel
        return samples

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return one row of features per sound."""
        mask = tensors["mask"]
        samples = tensors["waveform"].to(self.model.feature_projection.projection.weight.dtype)
        if self.normalise:
            samples = normalised(samples, mask)
        # Each row has at least one frame, whatever its length.
        seen = self.model.feature_extractor(pad(samples, (0, self.frame_samples))).transpose(1, 2)
        lengths = mask.sum(dim=1).clamp(min=self.frame_samples)
        for kernel, stride in self.strides:
            lengths = (lengths - kernel) // stride + 1
        there = torch.arange(seen.shape[1], device=mask.device) < lengths[:, None]
        projected = self.model.feature_projection(seen)
        hidden = projected[0] if isinstance(projected, tuple) else projected
        found = self.model.encoder(hidden, attention_mask=there)
        features: Tensor = self.pooling(found.last_hidden_state, there)
        return features


def normalised(
    samples: Float[Tensor, "batch sample"], mask: Bool[Tensor, "batch sample"]
) -> Float[Tensor, "batch sample"]:
    """Return the samples of each sound with the mean 0 and the variance 1, and zeros as padding."""
    there = mask.to(samples.dtype)
    count = there.sum(dim=1, keepdim=True).clamp(min=1)
    centred = (samples - (samples * there).sum(dim=1, keepdim=True) / count) * there
    variance = centred.square().sum(dim=1, keepdim=True) / count
    return centred * (variance + SMALLEST_VARIANCE).rsqrt()
