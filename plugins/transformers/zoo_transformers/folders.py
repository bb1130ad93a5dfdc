"""Reads the files of a folder of transformers or sentence-transformers. Nothing is executed, no pickle is opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from zoo import DataError
from zoo_transformers.quiet import quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_LARGEST_JSON_BYTES = 64 << 20
# The beginnings of the names of tensors that belong to another task, or to the other half of a model of two inputs.
_OF_OTHERS = (
    *("cls.", "lm_head.", "pooler.", "classifier.", "head.", "predictions.", "qa_outputs.", "score.", "decoder."),
    *("vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "discriminator_predictions.", "generator_"),
    *("text_model.", "vision_model.", "text_projection.", "visual_projection.", "logit_scale", "logit_bias"),
    *("quantizer.", "project_q.", "project_hid.", "proj_out.", "masked_spec_embed"),
)
# Tables of positions, which older files hold, and which a model makes itself.
_MADE_AGAIN = (".position_ids", ".token_type_ids")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises DataError if it is missing, too large or not JSON.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; the folder is incomplete, fetch it again")
    if path.stat().st_size > _LARGEST_JSON_BYTES:
        raise DataError(f"{path} has {path.stat().st_size} bytes, expected at most {_LARGEST_JSON_BYTES}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error!s:.200}; fetch the folder again") from error


def read_table(path: Path, *, missing: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the content of a JSON file that holds an object; ``missing`` if there is no file and it is given.

    Raises DataError as ``read_json`` does.
    """
    if missing is not None and not path.is_file():
        return dict(missing)
    found = read_json(path)
    if not isinstance(found, dict):
        raise DataError(f"{path} holds a {type(found).__name__}, expected a JSON object; fetch the folder again")
    return found


def require_safetensors(folder: Path) -> None:
    """Raise DataError if the folder does not hold all its weights as safetensors files."""
    found = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if found is None:
        pickles = sorted(path.name for kind in _PICKLES for path in folder.glob(kind))
        if pickles:
            raise DataError(
                f"{folder} holds its weights as {pickles[0]}, a pickle, which can run code when it is read; expected "
                "model.safetensors. Take a revision of the model that has one, or convert it where you trust it: "
                "AutoModel.from_pretrained(FOLDER).save_pretrained(NEW)"
            )
        raise DataError(f"{folder} holds no model.safetensors; the folder is incomplete, fetch it again")
    if found.name == _WEIGHTS[1]:
        names = read_table(found).get("weight_map")
        shards = sorted(set(names.values())) if isinstance(names, dict) else []
        if not shards or not all(isinstance(name, str) and Path(name).name == name for name in shards):
            raise DataError(f"{found} does not name the files with the weights; fetch the folder again")
        if lacking := [name for name in shards if not (folder / name).is_file()]:
            raise DataError(f"{folder / lacking[0]} is missing; the folder is incomplete, fetch it again")


def weights_of(
    folder: Path, model_class: str, config: Any, arguments: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, NDArray[Any]]:
    """Return the weights of a folder's model in float32, by their names in the model.

    Raises DataError, naming the first tensor, if one is missing, has another shape or has no place in the model.
    """
    import transformers

    require_safetensors(folder)
    kind = getattr(transformers, model_class)
    with quiet():
        try:
            model, told = kind.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                attn_implementation=config._attn_implementation,
                **arguments,
            )
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            raise DataError(
                f"the weights in {folder} cannot be read: {error!s:.300}; fetch the folder again"
            ) from error
    _require_all(folder, told)
    return {name: tensor.detach().contiguous().numpy() for name, tensor in model.state_dict().items()}


def _require_all(folder: Path, told: Mapping[str, Any]) -> None:
    for name, came, expected in sorted(told["mismatched_keys"]):
        raise DataError(
            f"{folder}: the tensor {name!r} has the shape {tuple(came)}, its config.json demands {tuple(expected)}; "
            "they do not belong together, fetch the folder again"
        )
    for name in sorted(told["missing_keys"]):
        raise DataError(
            f"{folder}: the weights lack the tensor {name!r}, which its config.json demands; half a model cannot be "
            "imported, fetch the folder again"
        )
    for name in sorted(told["unexpected_keys"]):
        if not name.startswith(_OF_OTHERS) and not name.endswith(_MADE_AGAIN):
            raise DataError(
                f"{folder}: the weights hold the tensor {name!r}, for which the model has no place; it is of another "
                "kind than its config.json says, or needs code that this version of transformers lacks"
            )
