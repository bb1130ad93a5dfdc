"""All faults that are planted."""

from planted import joining, masks, numbers, operations, outputs, sizes, weights
from planted.listing import FAULTS

KINDS = (weights, operations, sizes, masks, numbers, outputs, joining)

__all__ = ["FAULTS", "KINDS"]
