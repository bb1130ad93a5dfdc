"""What a sentence-transformers folder says beside its model: modules.json, pooling, dense layers, prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.numpy import load_file

from zoo import DataError
from zoo_transformers.folders import read_json, read_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODULES = "modules.json"
_POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}
_PLAIN_POOLINGS = {"mean": "mean", "cls": "cls", "max": "max", "lasttoken": "last"}
_ACTIVATIONS = {
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.modules.activation.Tanh": "tanh",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.GELU": "gelu",
}


@dataclass(frozen=True)
class Sentences:
    """How a sentence's tokens become its embedding.

    ``model`` is the folder of the transformer; ``encoder`` holds options of the encoder ``text/pretrained``, ``dense``
    the weights of its layers. ``size`` is the number of features that are kept, 0 for all.
    """

    model: Path
    encoder: Mapping[str, Any]
    normalise: bool
    dense: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    longest: int = 0
    prompt: str = ""
    size: int = 0
    notes: tuple[str, ...] = ()


def sentences_of(folder: Path) -> Sentences:
    """Read the modules of a sentence-transformers folder.

    Raises DataError, naming the file, for a module or a pooling that cannot be imported.
    """
    modules = [_module(folder, entry) for entry in _list(folder / MODULES)]
    if not modules or modules[0][0] != "Transformer":
        raise DataError(
            f"{folder / MODULES} begins with {modules[0][0] if modules else 'nothing'}, expected a Transformer; only "
            "models of one transformer can be imported"
        )
    model, encoder, normalise = modules[0][1], dict[str, Any](), False
    dense: list[tuple[Path, dict[str, Any]]] = []
    for kind, place in modules[1:]:
        if normalise or (kind != "Pooling" and "pooling" not in encoder):
            raise DataError(f"{folder / MODULES}: {kind} is at another place than modules that can be imported")
        match kind:
            case "Pooling" if "pooling" not in encoder:
                encoder["pooling"] = _pooling(place / "config.json")
            case "Dense":
                dense.append((place, read_table(place / "config.json")))
            case "Normalize":
                normalise = True
            case _:
                raise DataError(
                    f"{folder / MODULES} has the module {kind!r}; known are a Transformer, a Pooling, Dense layers and "
                    "Normalize, in this order"
                )
    if "pooling" not in encoder:
        raise DataError(f"{folder / MODULES} has no Pooling, so it makes no embedding of a sentence")
    encoder |= _layers(dense)
    weights = {
        f"layers.{n}.{key}": array for n, (place, _) in enumerate(dense) for key, array in _linear(place).items()
    }
    told = read_table(model / "sentence_bert_config.json", missing={})
    if told.get("do_lower_case"):
        _require_lower(model)
    prompts = read_table(folder / "config_sentence_transformers.json", missing={})
    prompt, notes = _prompt(prompts)
    longest, size = told.get("max_seq_length") or 0, prompts.get("truncate_dim") or 0
    return Sentences(model, encoder, normalise, weights, longest, prompt, size, notes)


def _list(path: Path) -> Sequence[Any]:
    found = read_json(path)
    if not isinstance(found, list):
        raise DataError(f"{path} holds a {type(found).__name__}, expected a list of modules; fetch the folder again")
    return found


def _module(folder: Path, entry: Any) -> tuple[str, Path]:
    """Return the kind of a module and its folder, which lies inside."""
    kind, path = (entry.get(key) if isinstance(entry, dict) else None for key in ("type", "path"))
    if not isinstance(kind, str) or not isinstance(path, str) or ".." in Path(path).parts or Path(path).is_absolute():
        raise DataError(
            f"{folder / MODULES} has the entry {entry!r:.100}, expected a 'type' and a 'path' inside the folder"
        )
    return kind.split(".")[-1], folder / path


def _pooling(path: Path) -> str:
    told = read_table(path)
    named = told.get("pooling_mode")
    modes = (
        [named] if isinstance(named, str) else sorted(key for key, on in told.items() if _is_mode(key) and on is True)
    )
    known = {**_POOLINGS, **_PLAIN_POOLINGS}
    if len(modes) != 1 or modes[0] not in known:
        raise DataError(
            f"{path} joins tokens by {', '.join(modes) or 'nothing'}; one of {', '.join(known)} can be imported"
        )
    if told.get("include_prompt") is False:
        raise DataError(f"{path} leaves the prompt out of the pooling, which the encoder 'text/pretrained' cannot do")
    return known[modes[0]]


def _is_mode(key: str) -> bool:
    return key.startswith("pooling_mode_")


def _layers(dense: Sequence[tuple[Path, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the options for dense layers, which all have the same form."""
    if not dense:
        return {}
    forms = {(told.get("activation_function"), told.get("bias", True)) for _, told in dense}
    place = dense[0][0] / "config.json"
    if len(forms) > 1:
        raise DataError(
            f"{place} differs from the other Dense layers in its activation or bias; only equal ones can be imported"
        )
    ((activation, bias),) = forms
    if activation not in _ACTIVATIONS:
        raise DataError(f"{place} has the activation {activation!r}; known are {', '.join(_ACTIVATIONS)}")
    sizes = [told.get("out_features") for _, told in dense]
    return {"dense": sizes, "dense_activation": _ACTIVATIONS[activation], "dense_bias": bias}


def _linear(place: Path) -> dict[str, NDArray[Any]]:
    path = place / "model.safetensors"
    if not path.is_file():
        raise DataError(f"{path} is missing; expected the weights of a Dense layer as safetensors")
    try:
        found = load_file(path)
    except (SafetensorError, TypeError, KeyError) as error:
        raise DataError(f"{path} cannot be read: {error!s:.200}; fetch the folder again") from error
    return {name.removeprefix("linear."): array.astype("float32") for name, array in found.items()}


def _require_lower(model: Path) -> None:
    """Raise DataError if texts must be put into small letters before the tokenizer, which does not do it itself."""
    if '"lowercase":true' not in "".join((model / "tokenizer.json").read_text(encoding="utf-8").split()):
        raise DataError(
            f"{model / 'sentence_bert_config.json'} puts texts into small letters before the tokenizer; give its "
            "tokenizer.json a normaliser that does so"
        )


def _prompt(told: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return the prompt that is put before each text, and a note on the others."""
    prompts, name = told.get("prompts") or {}, told.get("default_prompt_name")
    others = [key for key, text in prompts.items() if key != name and text]
    shown = "; ".join(f"{key}: {prompts[key]!r:.80}" for key in others)
    note = (
        f"the model has prompts that are put before no text: {shown}; set one by "
        "`options=['spec.inputs.text.modality.prompt=…']`"
    )
    return prompts.get(name) or "", (note,) if others else ()
