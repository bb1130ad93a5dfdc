"""Starts a training from weights that were trained before: tensors are taken by name, rows of vocabularies by word."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.discovery.components import make_modality
from zoo.discovery.plugins import Plugins
from zoo.errors import DataError, SpecError, UsageError
from zoo.files.store import staged_file
from zoo.models.build import DECODER, ENCODER, Model
from zoo.models.checkpoint import Checkpoint, weights
from zoo.models.parts import by_part
from zoo.offers import NamesTokens
from zoo.protocols import Modality
from zoo.recipes.spec import Recipe

FILE = "from.json"


@dataclass(frozen=True)
class Start:
    """The weights that a training starts from: their name, their checkpoint.

    With ``keep_fitted`` it also takes what the modalities of that checkpoint learnt, such as vocabularies.
    """

    name: str
    checkpoint: Checkpoint
    keep_fitted: bool = False

    def fitted(self, recipe: Recipe, plugins: Plugins) -> dict[str, Modality]:
        """Return, by input, modalities with what those of the checkpoint learnt; empty unless ``keep_fitted``.

        Raises UsageError if that does not fit the options of the recipe.
        """
        if not self.keep_fitted:
            return {}
        kinds = {entry.name: entry.modality.name for entry in self.checkpoint.model.spec.inputs}
        found: dict[str, Modality] = {}
        for entry in recipe.spec.inputs:
            if kinds.get(entry.name) != entry.modality.name:
                continue
            made = make_modality(entry.modality, f"spec.inputs.{entry.name}.modality", plugins)
            try:
                found[entry.name] = made.with_state(self.checkpoint.model.modalities[entry.name].state())
            except (DataError, SpecError) as error:
                raise UsageError(
                    f"what the input {entry.name!r} of {self.name} learnt does not fit this recipe: {error}; leave out "
                    "`keep_fitted`, or take the options of its modality"
                ) from error
        return found


@dataclass(frozen=True)
class Started:
    """Which tensors of a model were taken, by part and name, with the reason if one was not taken as it was."""

    start: Start
    taken: Sequence[str]
    resized: Mapping[str, str] = field(default_factory=dict)
    fresh: Mapping[str, str] = field(default_factory=dict)
    left: Sequence[str] = ()

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield the rows of a table: a part, and how many of its tensors were taken, resized and are fresh."""
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for place, names in enumerate((self.taken, self.resized, self.fresh)):
            for name in names:
                counts[".".join(name.split(".")[:2])][place] += 1
        for part, (taken, resized, fresh) in counts.items():
            yield part, str(taken), str(resized), str(fresh)

    def told(self) -> Iterator[str]:
        """Yield a sentence on each part, then one on each tensor that was resized."""
        for part, taken, resized, fresh in self.rows():
            yield f"from {self.start.name}: tensors of {part}: {taken} taken, {resized} resized, {fresh} fresh"
        for name, why in self.resized.items():
            yield f"from {self.start.name}: {name}: {why}"

    def write(self, folder: Path) -> None:
        """Write ``from.json`` into the folder of a run."""
        written: dict[str, Any] = {
            "name": self.start.name,
            "sha256": self.start.checkpoint.sha256,
            "keep_fitted": self.start.keep_fitted,
            "taken": list(self.taken),
            "resized": dict(self.resized),
            "fresh": dict(self.fresh),
            "left": list(self.left),
        }
        with staged_file(folder / FILE) as staging:
            staging.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@torch.no_grad()
def take(model: Model, start: Start) -> Started:
    """Give a fresh model all weights of ``start`` that fit, by part and name; the rest stays fresh.

    If an input names its tokens, the rows of tensors that have one row per token are taken by word; new words stay
    fresh. Raises UsageError if nothing fits.
    """
    source = start.checkpoint.model
    own, theirs = (by_part(one, weights(one.objective)) for one in (model, source))
    live = by_part(model, model.objective.state_dict(keep_vars=True))
    taken: list[str] = []
    resized: dict[str, str] = {}
    fresh: dict[str, str] = {}
    for name in own:
        came, here = theirs.get(name), live[name]
        if came is None:
            fresh[name] = "there is no such tensor"
        elif (places := _places(name, here, came, model, source)) is not None:
            known = places >= 0
            kept = here.detach().clone()
            kept[known] = came.to(here)[places[known]]
            here.copy_(kept)
            resized[name] = f"{int(known.sum())} of {len(places)} rows taken by word, the others are fresh"
        elif came.shape == here.shape and came.dtype == here.dtype:
            here.copy_(came)
            taken.append(name)
        else:
            fresh[name] = f"it is of the shape {tuple(came.shape)} there and {tuple(here.shape)} here"
    if not taken and not resized:
        raise UsageError(
            f"no weights of {start.name} fit this model: it has {', '.join(_parts(theirs))}, this model has "
            f"{', '.join(_parts(own))}; give the inputs and parts the same names and options"
        )
    return Started(start, taken, resized, fresh, [name for name in theirs if name not in own])


def _places(name: str, here: Tensor, came: Tensor, model: Model, source: Model) -> Tensor | None:
    """Return, for each row of a tensor, the row of the same word in the other, -1 for none; None without words."""
    mine, other = (_tokens_of(name, one) for one in (model, source))
    if mine == other or not mine or not other or not here.dim() or here.shape[1:] != came.shape[1:]:
        return None
    skipped = len(mine) - len(here)  # an output may leave out the first ids, which have no word
    if skipped != len(other) - len(came) or not 0 <= skipped <= min(map(_without_word, (mine, other))):
        return None
    place_of = {word: place for place, word in enumerate(other[skipped:]) if word}
    unnamed = _without_word(other) - skipped
    return torch.tensor(
        [place_of.get(word, -1) if word or place >= unnamed else place for place, word in enumerate(mine[skipped:])]
    )


def _tokens_of(name: str, model: Model) -> list[str]:
    """Return the tokens of the input that a tensor belongs to; none if its modality does not name them."""
    for one, modality in model.modalities.items():
        if isinstance(modality, NamesTokens) and any(name.startswith(f"{one}.{part}.") for part in (ENCODER, DECODER)):
            return list(modality.tokens)
    return []


def _without_word(tokens: Sequence[str]) -> int:
    return next((place for place, word in enumerate(tokens) if word), len(tokens))


def _parts(named: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(".".join(name.split(".")[:2]) for name in named))
