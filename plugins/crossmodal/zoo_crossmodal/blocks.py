"""Every two rows compared block by block: the matrix of all similarities is never held, but computed twice.

A reduction of a matrix m takes each row, or each column, to one number. Its gradient is that of a sum over blocks, in
which the reduced number r stands as a constant:

    logarithm of the sum of exponentials:  Σ_j exp(m_ij - r_i)
    least:                                 Σ_j [m_ij = r_i] m_ij / (the number of j with m_ij = r_i)
    sum:                                   Σ_j m_ij
    mean of what is above zero:            Σ_j m_ij / (the number of j with m_ij > 0)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

# More rows than these are compared in blocks.
LARGEST_WHOLE = 1024
BLOCK = 512


@dataclass(frozen=True)
class Block:
    """Some rows and some columns of a square matrix."""

    rows: slice
    columns: slice

    @property
    def on_diagonal(self) -> bool:
        """Whether it holds the places of partners."""
        return self.rows == self.columns


@dataclass(frozen=True)
class Others:
    """Which rows of a pair of inputs are wrong answers to each other, by ``groups`` of rows that share a value.

    A row is not a wrong answer to itself, nor to a row that has the same number in any of the groups.
    """

    groups: Sequence[Int64[Tensor, " row"]] = ()

    def masked(
        self, values: Float[Tensor, "row column"], block: Block, fill: float, *, partners: bool
    ) -> Float[Tensor, "row column"]:
        """Return the values with ``fill`` wherever there is no wrong answer; ``partners`` keep theirs if asked."""
        shared = self._shared(block)
        if block.on_diagonal:
            own = torch.eye(len(values), dtype=torch.bool, device=values.device)
            if partners:
                shared = None if shared is None else shared & ~own
            else:
                shared = own if shared is None else shared | own
        return values if shared is None else values.masked_fill(shared, fill)

    def counts(self, rows: Float[Tensor, "row ..."]) -> Int64[Tensor, " row"]:
        """Return the number of each row's wrong answers."""
        alike = torch.ones(len(rows), dtype=torch.int64, device=rows.device)
        if self.groups:
            # Of two groups, the rows that share both values are in both counts.
            alike = torch.stack([_sizes(group.unsqueeze(0)) for group in self.groups]).sum(dim=0)
            if len(self.groups) == 2:
                alike = alike - _sizes(torch.stack([*self.groups]))
        return len(rows) - alike

    def _shared(self, block: Block) -> Bool[Tensor, "row column"] | None:
        if not self.groups:
            return None
        each = [group[block.rows].unsqueeze(1) == group[block.columns] for group in self.groups]
        return torch.stack(each).any(dim=0)


def _sizes(groups: Int64[Tensor, "group row"]) -> Int64[Tensor, " row"]:
    """Return how many rows have the same numbers as each row."""
    place: Tensor
    sizes: Tensor
    _, place, sizes = torch.unique(groups, dim=1, return_inverse=True, return_counts=True)
    return sizes[place]


class Reduction(ABC):
    """Takes each row or column to one number, over blocks that come one after another."""

    starts: tuple[float, ...] = (0.0,)

    @abstractmethod
    def merged(self, state: Tensor, block: Tensor, axis: int) -> Tensor:
        """Return the state of some rows, (number, row), after one more block."""

    def reduced(self, state: Tensor) -> Tensor:
        """Return the numbers of a state."""
        return state[0]

    @abstractmethod
    def summand(self, state: Tensor, block: Tensor, axis: int) -> Tensor:
        """Return what the block adds to a sum over blocks that has the gradient of the reduction."""


class LogSumExp(Reduction):
    """The logarithm of the sum of exponentials."""

    starts = (float("-inf"),)

    def merged(self, state: Tensor, block: Tensor, axis: int) -> Tensor:
        """Return the logarithm over all blocks until now."""
        return torch.logaddexp(state, block.logsumexp(dim=axis))

    def summand(self, state: Tensor, block: Tensor, axis: int) -> Tensor:
        """Return the block's share of the sum."""
        return (block - state[0].unsqueeze(axis)).exp().sum(dim=axis)


class Least(Reduction):
    """The least number; equal ones share the gradient."""

    starts = (float("inf"), 0.0)

    def merged(self, state: Tensor, block: Tensor, axis: int) -> Tensor:
        """Return the least number, and how often it came."""
        here = block.amin(dim=axis)
        least = torch.minimum(state[0], here)
        times = (block == least.unsqueeze(axis)).sum(dim=axis)
        return torch.stack([least, torch.where(state[0] == least, state[1], 0) + times])

    def summand(self, state: Tensor, block: Tensor, axis: int) -> Tensor:
        """Return the least numbers of the block that are the least of all."""
        least, times = (one.unsqueeze(axis) for one in state)
        return torch.where(block == least, block / times, 0).sum(dim=axis)


class Sum(Reduction):
    """The sum."""

    def merged(self, state: Tensor, block: Tensor, axis: int) -> Tensor:
        """Return the sum of all blocks until now."""
        return state + block.sum(dim=axis)

    def summand(self, state: Tensor, block: Tensor, axis: int) -> Tensor:
        """Return the sum of the block."""
        return block.sum(dim=axis)


class MeanAboveZero(Reduction):
    """The mean of the numbers above zero, of numbers that are not below it."""

    starts = (0.0, 0.0)

    def merged(self, state: Tensor, block: Tensor, axis: int) -> Tensor:
        """Return the sum, and how many numbers are above zero."""
        return state + torch.stack([block.sum(dim=axis), (block > 0).sum(dim=axis)])

    def reduced(self, state: Tensor) -> Tensor:
        """Return the mean, zero if no number is above zero."""
        return state[0] / state[1].clamp(min=1)

    def summand(self, state: Tensor, block: Tensor, axis: int) -> Tensor:
        """Return the block's share of the mean."""
        return block.sum(dim=axis) / state[1].clamp(min=1)


@dataclass(frozen=True)
class Part:
    """What a block is made from: tensors of its rows, of its columns, and of the whole matrix."""

    block: Block
    first: Sequence[Tensor]
    second: Sequence[Tensor]
    shared: Sequence[Tensor]


# Makes a block as its rows are to be reduced, and as its columns are, or None if they are not.
Matrix = Callable[[Part], tuple[Tensor, Tensor | None]]


def in_blocks(
    matrix: Matrix, reduction: Reduction, first: Sequence[Tensor], second: Sequence[Tensor], *shared: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the reduction of each row and of each column of a matrix.

    The first axis of the tensors of ``first`` is the row, that of ``second`` the column.
    """
    of_rows, of_columns = _InBlocks.apply(matrix, reduction, len(first), len(second), *first, *second, *shared)  # type: ignore[no-untyped-call]
    return of_rows, of_columns


class _InBlocks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, matrix: Matrix, reduction: Reduction, firsts: int, seconds: int, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        some = tensors[0]
        rows = some.new_tensor(reduction.starts).unsqueeze(1).repeat(1, len(some))
        columns = rows.clone()
        for block in _blocks(len(some)):
            by_row, by_column = matrix(_part(tensors, firsts, seconds, block))
            rows[:, block.rows] = reduction.merged(rows[:, block.rows], by_row, 1)
            if by_column is not None:
                columns[:, block.columns] = reduction.merged(columns[:, block.columns], by_column, 0)
        ctx.matrix, ctx.reduction, ctx.counts = matrix, reduction, (firsts, seconds)
        ctx.save_for_backward(rows, columns, *tensors)
        ctx.set_materialize_grads(False)
        return reduction.reduced(rows).clone(), reduction.reduced(columns).clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        rows, columns, *tensors = ctx.saved_tensors
        firsts, seconds = ctx.counts
        needed = ctx.needs_input_grad[4:]
        wanted = [number for number, need in enumerate(needed) if need]
        found = {number: torch.zeros_like(tensors[number]) for number in wanted}
        for block in _blocks(len(tensors[0])):
            with torch.enable_grad():
                part = _part([tensor.detach() for tensor in tensors], firsts, seconds, block)
                leaves = [*part.first, *part.second, *part.shared]
                for leaf, need in zip(leaves, needed, strict=True):
                    leaf.requires_grad_(need)
                by_row, by_column = ctx.matrix(part)
                sides = [(by_row, rows[:, block.rows], 1, block.rows)]
                if by_column is not None:
                    sides.append((by_column, columns[:, block.columns], 0, block.columns))
                asked = [
                    (ctx.reduction.summand(state, values, axis), gradient[place])
                    for (values, state, axis, place), gradient in zip(sides, upstream, strict=False)
                    if gradient is not None
                ]
            sums, gradients = zip(*asked, strict=True)
            each = torch.autograd.grad(sums, [leaves[number] for number in wanted], gradients, allow_unused=True)
            for number, gradient in zip(wanted, each, strict=True):
                if gradient is not None:
                    place = block.rows if number < firsts else block.columns if number < firsts + seconds else ...
                    found[number][place] += gradient
        return (None, None, None, None, *(found.get(number) for number in range(len(tensors))))


def _blocks(rows: int) -> Iterator[Block]:
    pieces = [slice(start, min(start + BLOCK, rows)) for start in range(0, rows, BLOCK)]
    return (Block(one, other) for one in pieces for other in pieces)


def _part(tensors: Sequence[Tensor], firsts: int, seconds: int, block: Block) -> Part:
    first, second, shared = tensors[:firsts], tensors[firsts : firsts + seconds], tensors[firsts + seconds :]
    return Part(block, [one[block.rows] for one in first], [one[block.columns] for one in second], list(shared))
