"""Random numbers that depend only on a row's seed and a place in the row.

The numbers of a row therefore depend neither on other rows nor on its padding, and sizes need not be known when the
seeds are drawn.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

GRID = 2**24  # uniform numbers are whole multiples of its inverse
_WEYL = 0x9E3779B9  # 2**32 over the golden ratio: neighbouring places lie far apart before they are mixed


def draw_seeds(rows: int, *, generator: torch.Generator) -> Int64[Tensor, " batch"]:
    """Draw a seed for each row."""
    return torch.randint(2**32, (rows,), generator=generator)


def uniform(seeds: Int64[Tensor, " batch"], shape: tuple[int, ...], *, stream: int) -> Float[Tensor, "batch ..."]:
    """Return numbers in [0, 1), on a grid of 1 / GRID, in float32: an array of ``shape`` per row.

    The number at a place is the same in any larger ``shape``. Each ``stream`` has different numbers.
    """
    state = _mixed(_mixed(seeds.to(torch.int32)) + _signed(_WEYL * (stream + 1)))
    for size in shape:
        place = torch.arange(1, size + 1, dtype=torch.int32, device=seeds.device)
        state = _mixed(state.unsqueeze(-1) + place * _signed(_WEYL))
    return (state >> 8).bitwise_and_(GRID - 1).to(torch.float32).div_(GRID)


def normal(seeds: Int64[Tensor, " batch"], shape: tuple[int, ...], *, stream: int) -> Float[Tensor, "batch ..."]:
    """Return numbers from N(0, 1), an array of ``shape`` per row, by the transform of Box and Muller (1958).

    They use the uniform numbers of ``stream`` and of the next stream.
    """
    radius = (-2 * torch.log1p(-uniform(seeds, shape, stream=stream))).sqrt()
    return radius * (math.tau * uniform(seeds, shape, stream=stream + 1)).cos()


def _mixed(state: Int32[Tensor, "*place"]) -> Int32[Tensor, "*place"]:
    """Return the 32 bits mixed one to one, so that each bit of the result depends on all of them.

    Products wrap. A shift keeps the sign, so the bits that it shifts in are masked. Source of the two factors: the
    integer hash "lowbias32" of C. Wellons' hash-prospector.
    """
    state = (state >> 16).bitwise_and_(0xFFFF).bitwise_xor_(state).mul_(_signed(0x7FEB352D))
    state = (state >> 15).bitwise_and_(0x1FFFF).bitwise_xor_(state).mul_(_signed(0x846CA68B))
    return (state >> 16).bitwise_and_(0xFFFF).bitwise_xor_(state)


def _signed(bits: int) -> int:
    """Return the signed number of the low 32 bits."""
    return (bits + 2**31) % 2**32 - 2**31
