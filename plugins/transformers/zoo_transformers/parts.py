"""One encoder of a folder: its modality, its options, its weights, and the fitted state of its tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import DataError
from zoo_transformers.configs import table_of
from zoo_transformers.families import Family
from zoo_transformers.folders import CONFIG, TOKENIZER, read_table, weights_of
from zoo_transformers.processor import PROCESSOR, pictures_of
from zoo_transformers.quiet import quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray

# More of a text or a sound is read only if a recipe says so, since the time grows with its length.
MOST_TOKENS = 512
MOST_SECONDS = 10.0
_NOT_OF_THE_MODEL = ("auto_map", "attn_implementation", "_attn_implementation", "model_type", "torch_dtype", "dtype")


@dataclass(frozen=True)
class Part:
    """The tables of a modality and an encoder, the number of features, and the weights of the model in it."""

    modality: dict[str, Any]
    encoder: dict[str, Any]
    width: int
    weights: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class TextPart(Part):
    """The same, and the state of the modality."""

    state: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def text_part(
    folder: Path,
    family: Family,
    told: Mapping[str, Any],
    *,
    tokenizer_beside: Path,
    longest: int = 0,
    found: Mapping[str, NDArray[Any]] | None = None,
) -> TextPart:
    """Return the encoder of texts whose config is ``told``; its weights are ``found``, or else those of the folder.

    Raises DataError, naming the file, if something is missing.
    """
    config = config_from(told, family.config, family.attention)
    learnt = _tokenizer(folder if (folder / TOKENIZER).is_file() else tokenizer_beside)
    length = _longest(folder, config, family, longest)
    modality = {"name": "text", "tokenizer": "pretrained", "max_length": length}
    weights = weights_of(folder, family.model, config, family.arguments) if found is None else found
    width = int(getattr(config, family.width))
    return TextPart(modality, _encoder(config), width, weights, {"tokenizer": learnt})


def image_part(
    folder: Path, family: Family, told: Mapping[str, Any], *, found: Mapping[str, NDArray[Any]] | None = None
) -> Part:
    """Return the encoder of pictures whose config is ``told``; its weights are ``found``, or else those of the folder.

    Raises DataError, naming the file, if something is missing, or if the processor makes pictures of another size than
    the model reads.
    """
    config = config_from(told, family.config, family.attention)
    pictures = pictures_of(folder / PROCESSOR)
    size = pictures.modality["size"]
    if size != config.image_size and not family.any_size:
        raise DataError(
            f"{folder / PROCESSOR} makes pictures of {size} pixels, {folder / CONFIG} reads {config.image_size}; they "
            "do not belong together, fetch the folder again"
        )
    weights = weights_of(folder, family.model, config, family.arguments) if found is None else found
    encoder = {**_encoder(config), "mean": pictures.mean, "std": pictures.std}
    return Part({"name": "image", **pictures.modality}, encoder, int(getattr(config, family.width)), weights)


def audio_part(folder: Path, family: Family, told: Mapping[str, Any]) -> Part:
    """Return the encoder of sounds whose config is ``told``.

    Raises DataError, naming the file, if something is missing.
    """
    config = config_from(told, family.config, family.attention)
    path = folder / PROCESSOR
    processor = read_table(path)
    rate = processor.get("sampling_rate")
    if not isinstance(rate, int):
        raise DataError(f"{path} has the sampling_rate {rate!r}, expected a whole number of samples per second")
    modality = {"name": "audio", "sample_rate_hz": rate, "seconds": MOST_SECONDS}
    encoder = {**_encoder(config), "normalise": bool(processor.get("do_normalize", True))}
    weights = weights_of(folder, family.model, config, family.arguments)
    return Part(modality, encoder, int(getattr(config, family.width)), weights)


def config_from(told: Mapping[str, Any], kind: str, attention: str = "sdpa") -> Any:
    """Return a config of transformers without what would choose code."""
    import transformers

    try:
        with quiet():
            config = getattr(transformers, kind)(**{key: told[key] for key in told if key not in _NOT_OF_THE_MODEL})
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise DataError(f"{CONFIG} is not a {kind} of transformers: {error!s:.300}; fetch the folder again") from error
    config._attn_implementation = attention
    return config


def _encoder(config: Any) -> dict[str, Any]:
    table, absent = table_of(config)
    options = {"name": "pretrained", "model": config.model_type, "config": table}
    return {**options, "config_none": absent} if absent else options


def _tokenizer(folder: Path) -> NDArray[Any]:
    """Return the bytes of the folder's tokenizer.json; raise DataError if there is none."""
    path = folder / TOKENIZER
    if not path.is_file():
        raise DataError(
            f"{path} is missing; write it where you trust the folder: "
            "AutoTokenizer.from_pretrained(FOLDER, use_fast=True).save_pretrained(FOLDER)"
        )
    return np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()


def _longest(folder: Path, config: Any, family: Family, told: int) -> int:
    """Return the number of tokens that a text may have: what the folder says, but at most ``MOST_TOKENS``."""
    positions = config.max_position_embeddings - family.first_position
    of_tokenizer = read_table(folder / "tokenizer_config.json", missing={}).get("model_max_length")
    stated = told or (of_tokenizer if isinstance(of_tokenizer, int) else 0) or positions
    return int(min(stated, positions, MOST_TOKENS))
