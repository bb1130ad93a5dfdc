"""Optimisers by name, and the groups of parameters that they take: each with a learning rate and a weight decay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from zoo.errors import SpecError
from zoo.models.parts import Parts
from zoo.recipes.training import Training
from zoo.training.lion import Lion

if TYPE_CHECKING:
    from torch.optim import Optimizer

_NORMS = (
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)
# The key of a group that holds its highest learning rate.
HIGHEST = "initial_lr"
_SECOND_BETA = {"lion": 0.99}
# What Muon does not take is left to a second optimiser, whose name ends so.
_REST = "rest"
Groups = list[dict[str, Any]]


def grouped(parameters: Sequence[nn.Parameter], parts: Parts, settings: Training) -> dict[str, Groups]:
    """Return the groups of each optimiser of a player, by the end of its name; only Muon has two.

    Parameters come by their learning rates, within one rate those with weight decay first: all but norms, biases and
    other vectors. Raises SpecError, with the known parts, if ``training.learning_rates`` names an unknown part.
    """
    rates = _rates(parts, settings)
    plain = _undecayed(parts) if settings.weight_decay else {id(one) for one in parameters}
    hidden = _hidden(parts) if settings.optimiser == "muon" else {id(one) for one in parameters}
    found: dict[str, Groups] = {}
    for end, own in (("", True), (_REST, False)):
        taken = [one for one in parameters if (id(one) in hidden) == own]
        for rate in dict.fromkeys((settings.learning_rate, *settings.learning_rates.values())):
            for decay in (settings.weight_decay, 0.0) if settings.weight_decay else (0.0,):
                group = [
                    one
                    for one in taken
                    if rates.get(id(one), settings.learning_rate) == rate and (id(one) in plain) == (decay == 0)
                ]
                if group:
                    found.setdefault(end, []).append(
                        {"params": group, "weight_decay": decay, "lr": rate, HIGHEST: rate}
                    )
    return found


def optimisers(parameters: Sequence[nn.Parameter], parts: Parts, settings: Training) -> dict[str, Optimizer]:
    """Return the optimisers of a player, by the end of their names."""
    return {
        end: _made("adamw" if end == _REST else settings.optimiser, groups, settings)
        for end, groups in grouped(parameters, parts, settings).items()
    }


def same_state(was: Training, now: Training) -> bool:
    """Return whether the state of the optimiser of one training fits that of another: Adam and AdamW keep the same."""
    kinds = [{"adam": "adamw"}.get(one.optimiser, one.optimiser) for one in (was, now)]
    return kinds[0] == kinds[1]


def _made(name: str, groups: Groups, settings: Training) -> Optimizer:
    rate, betas = settings.learning_rate, (settings.beta1, settings.beta2 or _SECOND_BETA.get(name, 0.999))
    if name == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum)
    if name == "lion":
        return Lion(groups, lr=rate, betas=betas)
    if name == "muon":
        if not hasattr(torch.optim, "Muon"):
            raise SpecError(f"training.optimiser 'muon' needs torch 2.9 or newer, this is {torch.__version__}")
        # With this factor a rate and a decay that suit AdamW suit Muon, too: Liu et al. 2025, arXiv 2502.16982, eq. 4.
        return torch.optim.Muon(groups, lr=rate, momentum=settings.momentum, adjust_lr_fn="match_rms_adamw")
    if name == "adam" or not settings.weight_decay:
        return torch.optim.Adam(groups, lr=rate, fused=True, betas=betas)
    return torch.optim.AdamW(groups, lr=rate, fused=True, betas=betas)


def _rates(parts: Parts, settings: Training) -> Mapping[int, float]:
    """Return the learning rates of parameters that have their own, by identity; the longest name of a part counts."""
    found: dict[int, float] = {}
    for part in sorted(settings.learning_rates, key=len):
        rate = settings.learning_rates[part]
        found |= {id(one): rate for one in parts.parameters_of(part, "training.learning_rates")}
    return found


def _undecayed(parts: Parts) -> set[int]:
    """Return the identities of the parameters that have no weight decay: vectors, biases, and all of a norm."""
    vectors = {id(one) for owned in parts.parameters.values() for one in owned if one.dim() <= 1}
    norms = {id(one) for module in _modules(parts) if isinstance(module, _NORMS) for one in module.parameters()}
    biases = {
        id(one) for module in _modules(parts) for name, one in module.named_parameters(recurse=False) if name == "bias"
    }
    return vectors | norms | biases


def _hidden(parts: Parts) -> set[int]:
    """Return the identities of the parameters that Muon takes: matrices, except for tables of embeddings."""
    tables = {id(one) for module in _modules(parts) if isinstance(module, nn.Embedding) for one in module.parameters()}
    matrices = {id(one) for owned in parts.parameters.values() for one in owned if one.dim() == 2}
    return matrices - tables


def _modules(parts: Parts) -> list[nn.Module]:
    return [module for modules in parts.modules.values() for module in modules]
