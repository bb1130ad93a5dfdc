"""Means over rows, for each subset of the inputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from zoo import DataError, by_subset, every_subset


@dataclass(frozen=True)
class Measured:
    """One number per row, under its name, and the rows that count."""

    name: str
    values: Float[Tensor, " batch"]
    rows: Bool[Tensor, " batch"]


class SubsetMeans:
    """Sums up the measurements of each subset, batch by batch."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.subsets = every_subset(names)
        self._sums: dict[tuple[str, ...], dict[str, tuple[float, float]]] = {subset: {} for subset in self.subsets}

    def add(self, subset: tuple[str, ...], measured: Iterable[Measured]) -> None:
        """Count the rows of a batch."""
        for one in measured:
            total, rows = self._sums[subset].get(one.name, (0.0, 0.0))
            self._sums[subset][one.name] = (
                total + one.values[one.rows].double().sum().item(),
                rows + one.rows.sum().item(),
            )

    def found(self) -> dict[str, float]:
        """Return the means by subset and name. Raises DataError if no row counted."""
        means = {
            subset: {name: total / rows for name, (total, rows) in sums.items() if rows}
            for subset, sums in self._sums.items()
        }
        if not any(means.values()):
            raise DataError("no held-out row has the inputs that metrics need; choose a split in which some do")
        return by_subset(self.names, means)
