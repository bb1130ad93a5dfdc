"""The kinds of models that are known, by the ``model_type`` of their config.json.

A model of another type is refused: each has its own way from a sentence to its features. To add one, add a line here;
the tests compare each line with transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from zoo import SpecError
from zoo_transformers.quiet import quiet


@dataclass(frozen=True)
class Family:
    """One type: its modality, the names of its classes in transformers, and how its features are computed.

    ``arguments`` go to the class of the model. ``pooled`` says that the model joins its tokens itself, and gives one
    row of features. ``first_position`` is the number of positions that no token has, or, for pictures, of tokens before
    the patches. ``attention`` is the implementation of attention: scaled dot products by torch, unless a type has only
    its own. ``padding`` is the id of padded places, if it is not the config's. A ``full`` model reads texts that are
    padded to all of its positions, and attends to the padding. ``width`` names the key of the config that holds the
    number of features. A model of ``any_size`` stretches its positions over the patches of a picture.
    """

    modality: str
    config: str
    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    pooled: bool = False
    first_position: int = 0
    attention: Literal["sdpa", "eager"] = "sdpa"
    padding: int | None = None
    full: bool = False
    width: str = "hidden_size"
    any_size: bool = False


_UNPOOLED = {"add_pooling_layer": False}
FAMILIES: Mapping[str, Family] = {
    "albert": Family("text", "AlbertConfig", "AlbertModel", _UNPOOLED),
    "bert": Family("text", "BertConfig", "BertModel", _UNPOOLED),
    "camembert": Family("text", "CamembertConfig", "CamembertModel", _UNPOOLED, first_position=2),
    "distilbert": Family("text", "DistilBertConfig", "DistilBertModel"),
    "electra": Family("text", "ElectraConfig", "ElectraModel"),
    "modernbert": Family("text", "ModernBertConfig", "ModernBertModel"),
    "hubert": Family("audio", "HubertConfig", "HubertModel"),
    "mpnet": Family("text", "MPNetConfig", "MPNetModel", _UNPOOLED, first_position=2, attention="eager"),
    "roberta": Family("text", "RobertaConfig", "RobertaModel", _UNPOOLED, first_position=2),
    "clip_text_model": Family("text", "CLIPTextConfig", "CLIPTextModel", pooled=True, padding=0),
    "clip_vision_model": Family("image", "CLIPVisionConfig", "CLIPVisionModel", pooled=True),
    "deit": Family("image", "DeiTConfig", "DeiTModel", _UNPOOLED, first_position=2),
    "dinov2": Family("image", "Dinov2Config", "Dinov2Model", first_position=1, any_size=True),
    "siglip_text_model": Family(
        "text", "SiglipTextConfig", "SiglipTextModel", pooled=True, full=True, width="projection_size"
    ),
    "siglip_vision_model": Family("image", "SiglipVisionConfig", "SiglipVisionModel", pooled=True),
    "vit": Family("image", "ViTConfig", "ViTModel", _UNPOOLED, first_position=1),
    "wav2vec2": Family("audio", "Wav2Vec2Config", "Wav2Vec2Model"),
    "xlm-roberta": Family("text", "XLMRobertaConfig", "XLMRobertaModel", _UNPOOLED, first_position=2),
}


@dataclass(frozen=True)
class Pair:
    """A type of two encoders, of texts and of pictures, whose features are compared.

    ``projections`` are the names of the tensors that bring their features into one space, empty if they are in one.
    ``objective`` is the zoo's, with the loss that the type was trained by.
    """

    config: str
    model: str
    text: str
    image: str
    objective: str
    projections: Mapping[str, str] = field(default_factory=dict)


PAIRS: Mapping[str, Pair] = {
    "clip": Pair(
        "CLIPConfig",
        "CLIPModel",
        "clip_text_model",
        "clip_vision_model",
        "infonce",
        {"text": "text_projection.weight", "image": "visual_projection.weight"},
    ),
    "siglip": Pair("SiglipConfig", "SiglipModel", "siglip_text_model", "siglip_vision_model", "sigmoid"),
}


def family_of(model_type: str, modality: str) -> Family:
    """Return the family of a type that reads ``modality``; raise SpecError if there is none."""
    found = FAMILIES.get(model_type)
    if found is None or found.modality != modality:
        known = ", ".join(name for name, family in FAMILIES.items() if family.modality == modality)
        raise SpecError(
            f"the option 'model' is a type of transformers that reads {modality}: {known}; got {model_type!r}"
        )
    return found


def config_of(model_type: str, family: Family, table: Mapping[str, Any], absent: tuple[str, ...]) -> Any:
    """Return the config of a type with the values of ``table``, and none for each key in ``absent``.

    Raises SpecError for a key that this version of transformers does not know.
    """
    import transformers

    from zoo_transformers.configs import known_keys

    kind = getattr(transformers, family.config)
    known = known_keys(kind)
    for key in (*table, *absent):
        if key not in known:
            raise SpecError(
                f"the option 'config' has the key {key!r}, which transformers {transformers.__version__} does not know "
                f"for {model_type!r}; drop it, or upgrade transformers"
            )
    with quiet():
        config = kind(**{**table, **dict.fromkeys(absent)})
    config._attn_implementation = family.attention
    return config


def model_of(family: Family, config: Any) -> nn.Module:
    """Return the model of a config, with random weights in float32."""
    import transformers

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with quiet():
            made: nn.Module = getattr(transformers, family.model)(config, **family.arguments)
    finally:
        torch.set_default_dtype(before)
    return made
