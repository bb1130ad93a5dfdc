"""The data set ``unstated``: an imported model has none until its user names one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from zoo import DataError, Sample, UsageError

_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Unstated:
    """No samples: the place of a data set in the recipe of an imported model.

    A command that reads samples raises DataError, which says how to name a data set.
    """

    license = "not stated"
    contract_exceptions = MappingProxyType({"check": "it stands for a data set that only a user can name"})

    @property
    def inputs(self) -> Mapping[str, str]:
        """None are known."""
        return {}

    def split(self, name: str) -> Sequence[Sample]:
        """Raise DataError."""
        if name not in _SPLITS:
            raise UsageError(f"no split {name!r}; available: {', '.join(_SPLITS)}")
        raise DataError(
            "the recipe of this imported model names no data; name them, as in "
            "`options=['data.name=folder', 'data.path=FOLDER']`, or in the table [data] of its recipe.toml"
        )
