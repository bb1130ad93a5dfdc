"""What changed between the recipe that a run was trained by so far and the one that it is to go on by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import IntegrityError
from zoo.recipes.spec import Recipe

# No step that a run takes depends on these.
_FREE = ("training.checkpoint_every", "training.validate_every", "training.workers", "training.trackers")

# By dotted key: the old value and the new one, None where there is none.
Changes = Mapping[str, tuple[Any, Any]]


def changes(was: Recipe, now: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return the keys on which steps depend, or the model, that differ between two recipes.

    ``training.steps`` is one of them where the schedule ends with the steps. What is measured changes no step.
    """
    free = {*_FREE, "training.steps"} if was.training.schedule == "constant" else {*_FREE}
    before, after = (_flat(recipe) for recipe in (was, now))
    differing = {key: (before.get(key), after.get(key)) for key in sorted({*before, *after})}
    return {key: pair for key, pair in differing.items() if key not in free and pair[0] != pair[1]}


def refuse(changed: Changes, checkpoint: Path, *, accepted: bool) -> None:
    """Raise IntegrityError, naming each key with both values, where something changed and that is not accepted.

    Another spec is never accepted, since the weights are those of the old one.
    """
    spec = {key: pair for key, pair in changed.items() if key.startswith("spec.")}
    if spec:
        raise IntegrityError(
            f"{checkpoint} is a checkpoint of another spec: {told(spec)}; its weights do not fit: use its own recipe, "
            "or choose another --out"
        )
    if changed and not accepted:
        raise IntegrityError(
            f"{checkpoint} was trained otherwise: {told(changed)}; use its own recipe, go on by the new one with "
            "--accept-changes, or choose another --out"
        )


def written(changed: Changes) -> dict[str, dict[str, Any]]:
    """Return the changes for a log."""
    return {key: {"was": was, "now": now} for key, (was, now) in changed.items()}


def told(changed: Changes) -> str:
    """Return the changes for a person: ``training.seed was 0 and is 1``."""
    return ", ".join(f"{key} was {_shown(was)} and is {_shown(now)}" for key, (was, now) in changed.items())


def _flat(recipe: Recipe) -> dict[str, Any]:
    """Return spec, data and training by dotted keys, as ``-o`` takes them."""
    written = json.loads(json.dumps({key: recipe.written()[key] for key in ("spec", "data", "training")}))
    return {**dict(_leaves(written, "")), "spec.inputs": [entry.name for entry in recipe.spec.inputs]}


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        elif key == "name":  # a part by its bare name and a table with that name are one
            yield prefix.removesuffix("."), value
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    return "missing" if value is None else json.dumps(value, ensure_ascii=False)
