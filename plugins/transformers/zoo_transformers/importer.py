"""Reads a folder that transformers or sentence-transformers wrote as a recipe with weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo import DataError, Imported
from zoo_transformers.families import FAMILIES, PAIRS, Pair
from zoo_transformers.folders import CONFIG, read_table, weights_of
from zoo_transformers.parts import Part, audio_part, config_from, image_part, text_part
from zoo_transformers.sentence import MODULES, Sentences, sentences_of

_LEARNING_RATE = 2e-5
_NO_POOLING = (
    "the folder does not say how tokens become one embedding: their mean is taken, of length one; change it by "
    "`options=['spec.inputs.text.encoder.pooling=cls', 'spec.objective.normalise=false']`"
)


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
            return _sentences(sentences_of(folder), folder)
        told = checked_config(folder)
        model_type = str(told["model_type"])
        if model_type in PAIRS:
            return _pair(PAIRS[model_type], told, folder)
        family = FAMILIES[model_type]
        if family.modality == "image":
            return _alone("image", image_part(folder, family, told))
        if family.modality == "audio":
            return _alone("audio", audio_part(folder, family, told))
        notes = () if family.pooled else (_NO_POOLING,)
        return _sentences(Sentences(folder, {}, normalise=True, notes=notes), folder)


def checked_config(folder: Path) -> dict[str, Any]:
    """Return the content of a folder's config.json.

    Raises DataError if its type is unknown, or if it cannot be imported as it is.
    """
    path = folder / CONFIG
    told = read_table(path)
    known = {*FAMILIES, *PAIRS}
    if told.get("model_type") not in known:
        raise DataError(
            f"{path} has the model_type {told.get('model_type')!r}, which cannot be imported; known are "
            f"{', '.join(sorted(known))}. To add a type, write how its features are read, as a line in "
            "zoo_transformers/families.py, or as your own importer by the hook zoo_importers"
        )
    if "quantization_config" in told:
        raise DataError(f"{path} says that the weights are quantised; take the model in float32, float16 or bfloat16")
    if told.get("position_embedding_type", "absolute") != "absolute":
        raise DataError(
            f"{path} has the position_embedding_type {told['position_embedding_type']!r}, which transformers 5 lacks"
        )
    return told


def _sentences(sentences: Sentences, folder: Path) -> Imported:
    """Return an encoder of texts as a model of the objective ``features``."""
    told = checked_config(sentences.model)
    family = FAMILIES.get(str(told["model_type"]))
    if family is None or family.modality != "text":
        raise DataError(
            f"{sentences.model / CONFIG} has the model_type {told['model_type']!r}, which reads no texts alone"
        )
    part = text_part(sentences.model, family, told, tokenizer_beside=folder, longest=sentences.longest)
    part.encoder.update(sentences.encoder)
    if sentences.prompt:
        part.modality["prompt"] = sentences.prompt
    width = (sentences.encoder.get("dense") or [part.width])[-1]
    dense = {f"encoders.text.dense.{name}": array for name, array in sentences.dense.items()}
    objective = {"name": "features", "normalise": sentences.normalise}
    recipe = _recipe(objective, sentences.size or width, {"text": part})
    return Imported(recipe, {"text": part.state}, {**_named("text", part), **dense}, sentences.notes)


def _alone(name: str, part: Part) -> Imported:
    """Return one encoder as a model of the objective ``features``."""
    recipe = _recipe({"name": "features", "normalise": True}, part.width, {name: part})
    return Imported(recipe, {}, _named(name, part))


def _pair(pair: Pair, told: Mapping[str, Any], folder: Path) -> Imported:
    """Return two encoders as a model of the objective that they were trained by, with its scale."""
    import numpy as np

    config = config_from(told, pair.config)
    found = weights_of(folder, pair.model, config)
    text = text_part(
        folder, FAMILIES[pair.text], told["text_config"], tokenizer_beside=folder, found=_below("text_model.", found)
    )
    image = image_part(folder, FAMILIES[pair.image], told["vision_config"], found=_below("vision_model.", found))
    weights = {**_named("text", text), **_named("image", image)}
    width = text.width
    for name, part in (("text", text), ("image", image)):
        projection = found[pair.projections[name]] if pair.projections else np.eye(part.width, dtype=np.float32)
        width = len(projection)
        weights[f"heads.{name}.projection.weight"] = projection
        weights[f"heads.{name}.projection.bias"] = np.zeros(width, np.float32)
    weights["log_scale"] = found["logit_scale"].reshape(())
    if "logit_bias" in found:
        weights["bias"] = found["logit_bias"].reshape(())
    return Imported(_recipe(pair.objective, width, {"text": text, "image": image}), {"text": text.state}, weights)


def _below(prefix: str, found: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in found.items() if name.startswith(prefix)}


def _named(name: str, part: Part) -> dict[str, Any]:
    return {f"encoders.{name}.model.{own}": array for own, array in part.weights.items()}


def _recipe(objective: Any, latent_dim: int, parts: Mapping[str, Part]) -> dict[str, Any]:
    """Return the tables of a recipe without data."""
    inputs = {name: {"modality": part.modality, "encoder": part.encoder} for name, part in parts.items()}
    return {
        "schema": 1,
        "spec": {"objective": objective, "latent_dim": latent_dim, "inputs": inputs},
        "data": "unstated",
        "training": {"learning_rate": _LEARNING_RATE},
    }
