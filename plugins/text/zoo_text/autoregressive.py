"""Distributions over texts that are generated token by token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from zoo import Tensors


@runtime_checkable
class TokenModel(Protocol):
    """Predicts the next id: logits with one column per id, given the ids before it.

    Id 0, the padding, also marks the place in front of the first token and the end of the text.
    """

    @property
    def start(self) -> Float[Tensor, "batch state"]:
        """The state in front of the first token."""

    def all_logits(self, previous: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token id"]:
        """Return, for each place, the logits of the id that follows ``previous`` up to this place."""

    def next_logits(
        self, previous: Int[Tensor, " batch"], state: Float[Tensor, "batch state"]
    ) -> tuple[Float[Tensor, "batch id"], Float[Tensor, "batch state"]]:
        """Return the logits of the id that follows one more id, and the state after it."""


class AutoregressiveTokens:
    """Texts of at most ``length`` tokens, each token drawn given those before it, up to the end of the text.

        log_prob = Σ_t log p(token_t | token_1 … token_{t-1}, latent)

    where the end of the text counts as a last token. A text of ``length`` tokens has no such end. The unknown word is a
    token like others.
    """

    def __init__(self, model: TokenModel, *, length: int) -> None:
        self.model = model
        self.length = length

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the sum of the log-probabilities of a row's tokens and of its end, given the row's own tokens."""
        ids, mask = tensors["ids"] * tensors["mask"], tensors["mask"]
        previous = F.pad(ids, (1, 0))[:, : self.length]
        following = F.pad(ids, (0, 1))[:, : self.length]
        counted = F.pad(mask, (1, 0), value=True)[:, : self.length]  # the last place that counts is the end of the text
        log_probability = self.model.all_logits(previous).log_softmax(dim=-1)
        of_tokens = log_probability.gather(2, following.unsqueeze(2)).squeeze(2)
        return (of_tokens * counted.to(of_tokens.dtype)).sum(dim=1)

    def mode(self) -> Tensors:
        """Return the text in which each token is the most probable one given those before it: a greedy choice."""
        return self._written(lambda logits: logits.argmax(dim=-1))

    def target(self, tensors: Tensors) -> Tensors:
        """Return the row's own ids and mask, cut or padded to ``length``."""
        ids, mask = tensors["ids"] * tensors["mask"], tensors["mask"]
        missing = self.length - ids.shape[1]  # a negative number cuts
        return {"ids": F.pad(ids, (0, missing)), "mask": F.pad(mask, (0, missing))}

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw a text token by token."""
        return self._written(
            lambda logits: torch.multinomial(logits.softmax(dim=-1), 1, generator=generator).squeeze(1)
        )

    def _written(self, choose: Callable[[Tensor], Tensor]) -> Tensors:
        """Return ids, zero after the end, and their mask; as many steps as the longest text has tokens."""
        state = self.model.start
        token = torch.zeros(state.shape[0], dtype=torch.int64, device=state.device)
        tokens = []
        for _ in range(self.length):
            logits, state = self.model.next_logits(token, state)
            token = choose(logits)
            tokens.append(token)
        ids = torch.stack(tokens, dim=1)
        mask = (ids == 0).cumsum(dim=1) == 0
        return {"ids": ids * mask, "mask": mask}
