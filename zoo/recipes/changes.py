"""The differences between the recipe of a run so far and the recipe that it is to continue with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import IntegrityError
from zoo.recipes.spec import Recipe

# The steps of a run do not depend on these keys.
_FREE = ("training.checkpoint_every", "training.validate_every", "training.workers", "training.trackers")

# By dotted key: the old value and the new one, None if the key is missing.
Changes = Mapping[str, tuple[Any, Any]]


def changes(was: Recipe, now: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return the differing keys that affect the model or the steps of its training.

    ``training.steps`` is one of them if the learning-rate schedule depends on the number of steps, and
    ``training.validate_every`` if a metric is watched. Keys of ``evaluation`` affect no step.
    """
    free = {*_FREE}
    if was.training.schedule == "constant" and not was.training.stop_after:
        free |= {"training.steps", "training.epochs"}
    if now.training.epochs:  # which decides the number of steps
        free.add("training.steps")
    if was.training.best:
        free.remove("training.validate_every")
    before, after = (_flat(recipe) for recipe in (was, now))
    differing = {key: (before.get(key), after.get(key)) for key in sorted({*before, *after})}
    return {key: pair for key, pair in differing.items() if key not in free and pair[0] != pair[1]}


def refuse(changed: Changes, checkpoint: Path, *, accepted: bool) -> None:
    """Raise IntegrityError, naming each changed key with both values, unless there are no changes or they are accepted.

    A change of the spec is never accepted, since the weights belong to the old spec.
    """
    spec = {key: pair for key, pair in changed.items() if key.startswith("spec.")}
    if spec:
        raise IntegrityError(
            f"{checkpoint} is a checkpoint of another spec: {told(spec)}; its weights do not fit: use its own recipe, "
            "or choose another `out`"
        )
    if changed and not accepted:
        raise IntegrityError(
            f"{checkpoint} was trained with other settings: {told(changed)}; use its own recipe, continue with the new "
            "one by `accept_changes=True`, or choose another `out`"
        )


def written(changed: Changes) -> dict[str, dict[str, Any]]:
    """Return the changes in the form that the log takes."""
    return {key: {"was": was, "now": now} for key, (was, now) in changed.items()}


def told(changed: Changes) -> str:
    """Return the changes as a text: ``training.seed was 0 and is 1``."""
    return ", ".join(f"{key} was {_shown(was)} and is {_shown(now)}" for key, (was, now) in changed.items())


def _flat(recipe: Recipe) -> dict[str, Any]:
    """Return spec, data and training by dotted keys, as ``-o`` takes them."""
    tables = {**recipe.written(), "training": recipe.training.complete()}
    written = json.loads(json.dumps({key: tables[key] for key in ("spec", "data", "training")}))
    return {**dict(_leaves(written, "")), "spec.inputs": [entry.name for entry in recipe.spec.inputs]}


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        elif key == "name":  # a part given by its bare name equals a table with that name
            yield prefix.removesuffix("."), value
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    return "missing" if value is None else json.dumps(value, ensure_ascii=False)
