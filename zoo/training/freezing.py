"""Parts of a model that are not trained: they have no gradient and no optimiser, and run as they are deployed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from zoo.errors import SpecError
from zoo.models.build import Model
from zoo.models.parts import Parts
from zoo.recipes.training import Training

_KEY = "training.freeze"


@dataclass(frozen=True)
class Frozen:
    """The frozen parts of a model, by name, with the number of their weights, and their outermost modules."""

    weights: Mapping[str, int]
    modules: Sequence[nn.Module]
    of_all: int

    def hold(self) -> None:
        """Set the modules to evaluation mode: no dropout, and statistics of batches stay as they are."""
        for module in self.modules:
            if module.training:
                module.eval()

    def told(self) -> str:
        """Return a sentence on what is frozen, empty if nothing is."""
        if not self.weights:
            return ""
        named = ", ".join(f"{part} ({count:,} weights)" for part, count in self.weights.items())
        return f"frozen: {named}; {self.of_all:,} weights are trained"


def frozen_parameters(parts: Parts, settings: Training) -> set[int]:
    """Return the identities of the parameters that ``training.freeze`` names.

    Raises SpecError, with the known parts, if a part is unknown.
    """
    return {id(one) for part in settings.freeze for one in parts.parameters_of(part, _KEY)}


def freeze(model: Model, parts: Parts, settings: Training) -> Frozen:
    """Switch off the gradients of the parts that ``training.freeze`` names, and set their modules to evaluation mode.

    Raises SpecError, with the known parts, if a part is unknown, or if a player of the objective has nothing to train.
    """
    players = model.objective.players()
    stopped = frozen_parameters(parts, settings)
    for player, owned in players.items():
        if owned and all(id(parameter) in stopped for parameter in owned):
            raise SpecError(f"{_KEY} leaves nothing to train of {player!r}; take a part out of it")
    for parameter in model.objective.parameters():
        if id(parameter) in stopped:
            parameter.requires_grad_(False)
    counts = {part: sum(one.numel() for one in parts.parameters_of(part, _KEY)) for part in settings.freeze}
    trained = sum(one.numel() for one in model.objective.parameters() if one.requires_grad)
    frozen = Frozen(counts, [module for part in settings.freeze for module in parts.modules_of(part)], trained)
    frozen.hold()
    return frozen
