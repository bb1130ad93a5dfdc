"""A config of transformers as a table of a recipe: only what differs from the defaults of its class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Keys that do not change the features, or that would choose code.
_LEFT_OUT = frozenset(
    (
        *("_name_or_path", "architectures", "transformers_version", "model_type", "dtype", "torch_dtype"),
        *("id2label", "label2id", "num_labels", "problem_type", "classifier_dropout", "use_cache", "return_dict"),
        *("output_attentions", "output_hidden_states", "is_decoder", "is_encoder_decoder", "add_cross_attention"),
        *("attn_implementation", "_attn_implementation", "auto_map", "quantization_config", "tie_word_embeddings"),
    )
)


def known_keys(kind: type) -> frozenset[str]:
    """Return the keys that a table of this class of configs may have."""
    return frozenset(kind().to_dict()) - _LEFT_OUT


def table_of(config: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a config that differ from the defaults, and the keys whose value is none instead.

    TOML cannot express none, so these keys have their own list.
    """
    values, defaults = config.to_dict(), type(config)().to_dict()
    differing = {key: values[key] for key in sorted(known_keys(type(config))) if values.get(key) != defaults[key]}
    absent = [key for key, value in differing.items() if value is None]
    return {key: _plain(value) for key, value in differing.items() if value is not None}, absent


def _plain(value: Any) -> Any:
    """Return a value as TOML and JSON can hold it; a none inside a table is left out."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
