"""All faults that are planted."""

from planted import masks, numbers, operations, outputs, sizes, weights
from planted.listing import FAULTS

KINDS = (weights, operations, sizes, masks, numbers, outputs)

__all__ = ["FAULTS", "KINDS"]
