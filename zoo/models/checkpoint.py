"""A checkpoint is one safetensors file: the weights, the learnt state of the modalities, and the recipe as metadata.

The metadata has one key, ``zoo.spec``: JSON with sorted keys, the inputs as a list in the spec's order, and the sha256
of everything else in the file. A checkpoint alone is enough to rebuild the model and to detect a flipped bit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from zoo.discovery.components import MODALITY, fitted_modalities, state_key
from zoo.discovery.plugins import Plugins, installed
from zoo.errors import IntegrityError, NotFoundError, PluginError, SpecError
from zoo.files.store import staged_file, with_plain_name
from zoo.models.build import Model, build
from zoo.recipes.spec import Recipe
from zoo.recipes.tables import SCHEMA, Table

if TYPE_CHECKING:
    from zoo.protocols import Array

# The memory of a tensor and the way to read it: equal for two names of one tensor.
_Memory = tuple[int, tuple[int, ...], tuple[int, ...]]

_METADATA_KEY = "zoo.spec"


@dataclass(frozen=True)
class Checkpoint:
    """A saved model, and the recipe that it was trained with."""

    model: Model
    recipe: Recipe
    sha256: str

    def __repr__(self) -> str:
        parameters = f"{self.model.parameter_count:,} parameters"
        return f"<checkpoint: {self.recipe.summary}; {parameters}, sha256 {self.sha256:.12}…>"


def save_checkpoint(model: Model, recipe: Recipe, path: Path) -> None:
    """Write ``model`` and ``recipe`` to ``path`` in one atomic step; the same content gives the same bytes."""
    with staged_file(path) as staging:
        staging.write_bytes(checkpoint_bytes(model, recipe))


def checkpoint_bytes(model: Model, recipe: Recipe) -> bytes:
    """Return the content of a checkpoint file.

    Raises PluginError, naming the modality or the weights, or SpecError, naming the recipe, if a file cannot hold them.
    """
    tensors = {**weights(model.objective), **_modality_tensors(model.modalities)}
    content = {"schema": SCHEMA, "recipe": recipe_json(recipe)}
    try:
        metadata = {**content, "sha256": _digest(content, tensors)}
    except TypeError as error:
        raise SpecError(
            f"the recipe holds a value that no checkpoint can hold: {error}; write dates and times as texts"
        ) from error
    return save(tensors, {_METADATA_KEY: json.dumps(metadata, sort_keys=True, ensure_ascii=False)})


def load(path: Path | str, *, plugins: Plugins | None = None) -> Checkpoint:
    """Rebuild the model of a checkpoint file.

    Raises NotFoundError if there is no such file, IntegrityError if its bytes are not the saved ones.
    """
    path = Path(path)
    plugins = plugins or installed()
    content, tensors = _read(path)
    recipe = Recipe.read(content["recipe"], str(path))
    state = {name: tensor for name, tensor in tensors.items() if not name.startswith(MODALITY)}
    modalities = fitted_modalities(recipe.spec, plugins, _modality_arrays(tensors, path), str(path))
    model = build(recipe.spec, modalities, plugins=plugins)
    load_weights(model.objective, state, path)
    model.objective.eval()
    return Checkpoint(model, recipe, content["sha256"])


def weights(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's parameters and buffers by name; tied ones appear once, under their first name."""
    found: dict[str, Tensor] = {}
    seen: set[_Memory] = set()
    for name, tensor in module.state_dict().items():
        if not isinstance(tensor, Tensor):
            raise PluginError(
                f"the state {name!r} of the model is of the type {type(tensor).__name__}, expected a tensor: a "
                "checkpoint holds only parameters and buffers; drop get_extra_state, or keep it as a buffer"
            )
        memory = _memory(tensor)
        if tensor.numel() == 0 or memory not in seen:
            found[name] = _alone(tensor.detach().cpu().contiguous())
            seen.add(memory)
    return found


def names_in(part: nn.Module, whole: nn.Module) -> dict[str, str]:
    """Map the names of a part's parameters and buffers to their names in ``weights(whole)``; they share tensors."""
    names: dict[_Memory, str] = {}
    for name, tensor in whole.state_dict().items():
        names.setdefault(_memory(tensor), name)
    return {
        own: names[memory]
        for own, tensor in part.state_dict().items()
        if tensor.numel() and (memory := _memory(tensor)) in names
    }


def load_weights(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Put saved weights into a module built from the same spec.

    Raises IntegrityError, naming the first difference, if they belong to another spec.
    """
    expected = weights(module)
    for name in [*expected, *state]:
        wanted, came = (_shown(tensors.get(name)) for tensors in (expected, state))
        if wanted != came:
            raise IntegrityError(
                f"{path} holds the weights of another spec: expected {name!r} as {wanted}, it has {came}; "
                "use the recipe that it was trained by, or train anew"
            )
    module.load_state_dict(dict(state), strict=False)


def recipe_json(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe for JSON with sorted keys: the inputs are a list, in the spec's order."""
    written = recipe.written()
    inputs = [{"name": name, **entry} for name, entry in written["spec"]["inputs"].items()]
    return {**written, "spec": {**written["spec"], "inputs": inputs}}


def modality_arrays(modalities: Mapping[str, Any]) -> dict[str, Array]:
    """Return the learnt state of all modalities, as arrays with the names that they have in a file."""
    return {
        state_key(name, key): array for name, modality in modalities.items() for key, array in modality.state().items()
    }


def _memory(tensor: Tensor) -> _Memory:
    return tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride())


def _alone(tensor: Tensor) -> Tensor:
    """Return a tensor that owns its whole memory, since a file cannot hold a view of another tensor."""
    return tensor if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.clone()


def _modality_tensors(modalities: Mapping[str, Any]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, modality in modalities.items():
        state = modality.state()
        if fault := fault_of_state(state):
            raise PluginError(f"the modality of {name!r}, {type(modality).__name__}, cannot be saved: {fault}")
        found |= {state_key(name, key): torch.from_numpy(array.copy()) for key, array in state.items()}
    return found


def fault_of_state(state: Mapping[str, Any]) -> str:
    """Return the part of a modality's state that a checkpoint cannot hold, by key and dtype; empty if there is none."""
    for key, array in state.items():
        if not isinstance(key, str):
            return f"its state has the key {key!r}; a key is a text"
        try:
            torch.from_numpy(array.copy())
        except (TypeError, ValueError, AttributeError):
            kind = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
            return (
                f"its state {key!r} is {kind}; a state is NumPy arrays of numbers or booleans, and a text its UTF-8 "
                "bytes: np.frombuffer(text.encode(), np.uint8)"
            )
    return ""


def _modality_arrays(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Array]:
    try:
        return {name: tensor.numpy() for name, tensor in tensors.items() if name.startswith(MODALITY)}
    except TypeError as error:
        raise IntegrityError(f"{path} is not a valid checkpoint: {error}; fetch or train it again") from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise NotFoundError(f"no checkpoint {path}; expected a .safetensors file that `zoo train` or `zoo fetch` left")
    try:
        with with_plain_name(path) as named, safe_open(named, framework="pt") as file:
            metadata = (file.metadata() or {}).get(_METADATA_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a mapping
        if metadata is None:
            raise IntegrityError(f"{path} is a safetensors file without a spec; it is not a checkpoint of the zoo")
        table = Table(json.loads(metadata), str(path))
    except (SafetensorError, ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} is not a valid checkpoint: {error}; fetch or train it again") from error
    table.schema()
    recipe, promised = table.anything("recipe"), table.anything("sha256")
    if not isinstance(recipe, dict) or not isinstance(promised, str):
        raise IntegrityError(
            f"{path} is not a valid checkpoint: it lacks its recipe or sha256; fetch or train it again"
        )
    content = {"schema": SCHEMA, "recipe": recipe}
    found = _digest(content, tensors)
    if found != promised:
        raise IntegrityError(
            f"{path} was damaged after it was saved: expected content with sha256 {promised}, found {found}; "
            "fetch or train it again"
        )
    return {**content, "sha256": promised}, tensors


def _digest(content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    sha256 = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        sha256.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha256.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha256.hexdigest()


def _shown(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else f"{tensor.dtype} {tuple(tensor.shape)}".removeprefix("torch.")
