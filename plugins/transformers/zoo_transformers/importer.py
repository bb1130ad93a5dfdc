"""Reads a folder that transformers or sentence-transformers wrote as a recipe with weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import DataError, Imported
from zoo_transformers.configs import table_of
from zoo_transformers.families import FAMILIES, Family
from zoo_transformers.folders import CONFIG, TOKENIZER, read_table, weights_of
from zoo_transformers.sentence import MODULES, Sentences, sentences_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# More tokens of a text are read only if a recipe says so, since the time grows with their number.
MOST_TOKENS = 512
_LEARNING_RATE = 2e-5


class FolderImporter:
    """Folders with a config.json of transformers, or a modules.json of sentence-transformers."""

    def recognises(self, folder: Path) -> bool:
        """Return whether one of the two files is there."""
        return any((folder / name).is_file() for name in (CONFIG, MODULES))

    def read(self, folder: Path) -> Imported:
        """Return the model in the folder.

        Raises DataError, naming the file, if it is incomplete, holds only pickles, or is of an unknown type.
        """
        if (folder / "adapter_config.json").is_file():
            raise DataError(
                f"{folder} holds an adapter, which is half a model; merge it into its base, by peft's "
                "merge_and_unload(), and save the result"
            )
        if (folder / MODULES).is_file():
            return _text(sentences_of(folder), folder)
        note = (
            "the folder does not say how tokens become one embedding: their mean is taken, of length one; change it by "
            "`options=['spec.inputs.text.encoder.pooling=cls', 'spec.objective.normalise=false']`"
        )
        return _text(Sentences(folder, {"pooling": "mean"}, normalise=True, notes=(note,)), folder)


def _text(sentences: Sentences, folder: Path) -> Imported:
    """Return an encoder of texts as a model of the objective ``features``."""
    place = sentences.model
    family, config = read_config(place)
    table, absent = table_of(config)
    encoder = {
        "name": "pretrained",
        "model": config.model_type,
        "config": table,
        **({"config_none": absent} if absent else {}),
        **sentences.encoder,
    }
    learnt = tokenizer_of(place if (place / TOKENIZER).is_file() else folder)
    longest = longest_text(place, config, family, sentences.longest)
    modality = {"name": "text", "tokenizer": "pretrained", "max_length": longest}
    if sentences.prompt:
        modality["prompt"] = sentences.prompt
    width = (sentences.encoder.get("dense") or [config.hidden_size])[-1]
    weights = {f"model.{name}": array for name, array in weights_of(place, family, config).items()}
    weights |= {f"dense.{name}": array for name, array in sentences.dense.items()}
    recipe = recipe_of(
        {"name": "features", "normalise": sentences.normalise},
        sentences.size or width,
        {"text": {"modality": modality, "encoder": encoder}},
    )
    named = {f"encoders.text.{name}": array for name, array in weights.items()}
    return Imported(recipe, {"text": {"tokenizer": learnt}}, named, sentences.notes)


def read_config(folder: Path) -> tuple[Family, Any]:
    """Return the family and the config of a folder's model.

    Raises DataError if its type is unknown, or its weights are quantised.
    """
    import transformers

    path = folder / CONFIG
    told = read_table(path)
    family = FAMILIES.get(str(told.get("model_type")))
    if family is None:
        raise DataError(
            f"{path} has the model_type {told.get('model_type')!r}, which cannot be imported; known are "
            f"{', '.join(sorted(FAMILIES))}. To add a type, write how its features are read, as a line in "
            "zoo_transformers/families.py, or as your own importer by the hook zoo_importers"
        )
    if "quantization_config" in told:
        raise DataError(f"{path} says that the weights are quantised; take the model in float32, float16 or bfloat16")
    if told.get("position_embedding_type", "absolute") != "absolute":
        raise DataError(
            f"{path} has the position_embedding_type {told['position_embedding_type']!r}, which transformers 5 lacks"
        )
    return family, config_from(told, family, transformers)


def config_from(told: Mapping[str, Any], family: Family, transformers: Any) -> Any:
    """Return a config of transformers without what would choose code."""
    dropped = ("auto_map", "attn_implementation", "_attn_implementation", "model_type", "torch_dtype", "dtype")
    try:
        config = getattr(transformers, family.config)(**{key: told[key] for key in told if key not in dropped})
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise DataError(f"config.json is not a config of {told.get('model_type')}: {error!s:.300}") from error
    config._attn_implementation = "sdpa"
    return config


def tokenizer_of(folder: Path) -> NDArray[Any]:
    """Return the bytes of the folder's tokenizer.json; raise DataError if there is none."""
    path = folder / TOKENIZER
    if not path.is_file():
        raise DataError(
            f"{path} is missing; write it where you trust the folder: "
            "AutoTokenizer.from_pretrained(FOLDER, use_fast=True).save_pretrained(FOLDER)"
        )
    return np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()


def longest_text(folder: Path, config: Any, family: Family, told: int) -> int:
    """Return the number of tokens that a text may have: what the folder says, but at most ``MOST_TOKENS``."""
    positions = config.max_position_embeddings - family.first_position
    of_tokenizer = read_table(folder / "tokenizer_config.json", missing={}).get("model_max_length")
    stated = told or (of_tokenizer if isinstance(of_tokenizer, int) else 0) or positions
    return int(min(stated, positions, MOST_TOKENS))


def recipe_of(objective: Mapping[str, Any], latent_dim: int, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of a recipe without data."""
    return {
        "schema": 1,
        "spec": {"objective": dict(objective), "latent_dim": latent_dim, "inputs": dict(inputs)},
        "data": "unstated",
        "training": {"learning_rate": _LEARNING_RATE},
    }
