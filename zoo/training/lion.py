"""The optimiser Lion: steps of one size, in the direction of the sign of a momentum."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer


class Lion(Optimizer):
    """Evolved sign momentum.

    With the gradient g, the momentum m, which starts at zero, the rate η and the weight decay λ, a step is

        c = β₁ · m + (1 − β₁) · g
        θ = θ − η · (sign(c) + λ · θ)
        m = β₂ · m + (1 − β₂) · g

    Its rate is usually three to ten times smaller than that of AdamW, its weight decay as much larger.

    Source: Chen et al. 2023, "Symbolic discovery of optimization algorithms", arXiv 2302.06675, algorithm 2.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take a step; a parameter without a gradient stays as it is."""
        for group in self.param_groups:
            owned = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not owned:
                continue
            gradients = [parameter.grad for parameter in owned]
            momenta = [self._momentum(parameter) for parameter in owned]
            first, second = group["betas"]
            directions = torch._foreach_lerp(momenta, gradients, 1 - first)
            torch._foreach_sign_(directions)
            torch._foreach_mul_(owned, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(owned, directions, alpha=-group["lr"])
            torch._foreach_lerp_(momenta, gradients, 1 - second)

    def _momentum(self, parameter: torch.Tensor) -> torch.Tensor:
        state = self.state[parameter]
        if "exp_avg" not in state:
            state["exp_avg"] = torch.zeros_like(parameter)
        momentum: torch.Tensor = state["exp_avg"]
        return momentum
