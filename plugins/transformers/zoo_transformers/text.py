"""The encoder ``text/pretrained``: a model of transformers that reads tokens."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any

import torch
from annotated_types import Ge
from jaxtyping import Float, Int64
from torch import Tensor
from zoo_text import TextModality

from zoo import Encoder, Modality, SpecError, Tensors, modality_of
from zoo_transformers.dense import Activation, Dense
from zoo_transformers.families import config_of, family_of, model_of
from zoo_transformers.pooling import Pooled, Pooling


class PretrainedText(Encoder):
    """A model of transformers, its tokens joined by ``pooling``, then linear layers of the sizes ``dense``.

    ``model`` is a type of transformers (``bert``), ``config`` what differs from the defaults of its configuration, and
    ``config_none`` names the keys that are none instead of their default. ``pooling`` is ``mean``, ``cls`` (the first
    token), ``max``, ``last`` (the last token) or ``attention`` (a learnt mean); a model that joins its tokens itself,
    such as CLIP's, needs none of them. Each layer of ``dense`` has a bias if ``dense_bias``, and ``dense_activation``
    after it.

    `zoo import` writes these options and the weights. A model that is built from a recipe alone has random weights.

    Raises SpecError if the type or a key of the configuration is unknown, or if the tokenizer of the modality has more
    tokens than the model.
    """

    contract_options = MappingProxyType(
        {
            "config": {
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 32,
                "vocab_size": 8192,
                "attention_probs_dropout_prob": 0.0,
            },
        }
    )

    def __init__(
        self,
        modality: Modality,
        *,
        model: str = "bert",
        config: dict[str, Any] = {},  # noqa: B006 - it is never changed, and the default of an option
        config_none: tuple[str, ...] = (),
        pooling: Pooled = "mean",
        dense: tuple[Annotated[int, Ge(1)], ...] = (),
        dense_activation: Activation = "tanh",
        dense_bias: bool = True,
    ) -> None:
        super().__init__()
        text = modality_of(TextModality, "text", modality, component="the encoder 'pretrained'")
        self.family = family_of(model, "text")
        made = config_of(model, self.family, config, config_none)
        if text.token_count > made.vocab_size:
            raise SpecError(
                f"the tokenizer of this input has {text.token_count} tokens, the model only {made.vocab_size}: they do "
                "not belong together; take both from one folder"
            )
        longest = made.max_position_embeddings - self.family.first_position
        if text.max_length > longest:
            raise SpecError(
                f"the model has positions for {longest} tokens, got max_length {text.max_length} of the modality; set "
                f"max_length to {longest}"
            )
        self.padding = (made.pad_token_id or 0) if self.family.padding is None else self.family.padding
        self.positions = longest
        self.model = model_of(self.family, made)
        width = getattr(made, self.family.width)
        self.pooling = Pooling(pooling, width)
        self.dense = Dense(width, dense, dense_activation, bias=dense_bias)
        self.feature_dim = dense[-1] if dense else width

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return one row of features per text."""
        mask = tensors["mask"]
        ids = torch.where(mask, tensors["ids"], torch.full_like(tensors["ids"], self.padding))
        if self.family.full:
            ids = filled(ids, self.positions, self.padding)
            pooled: Tensor = self.model(input_ids=ids).pooler_output
            return self._after(pooled)
        # A missing text has no token, and attention to nothing is not a number: its first place is seen.
        first = torch.arange(mask.shape[1], device=mask.device) == 0
        seen = mask | (first & ~mask.any(dim=1, keepdim=True))
        found = self.model(input_ids=ids, attention_mask=seen.to(torch.int64))
        return self._after(found.pooler_output if self.family.pooled else self.pooling(found.last_hidden_state, mask))

    def _after(self, pooled: Float[Tensor, "batch width"]) -> Float[Tensor, "batch feature"]:
        features: Tensor = self.dense(pooled)
        return features


def filled(ids: Int64[Tensor, "batch token"], length: int, padding: int) -> Int64[Tensor, "batch place"]:
    """Return ids with ``padding`` after them, ``length`` in all."""
    places = torch.arange(length, device=ids.device)
    there = places < ids.shape[1]
    taken = ids.index_select(1, torch.where(there, places, torch.zeros_like(places)))
    return torch.where(there, taken, torch.full_like(taken, padding))
