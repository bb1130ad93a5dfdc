"""Values by name, in a fixed order, shown as a table."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, TypeVar

from zoo.verbs.texts import table

Value = TypeVar("Value", covariant=True)


class Named(Mapping[str, Value]):
    """Values by name; ``header`` is shown above the rows of the table."""

    header: ClassVar[Sequence[str]]

    def __init__(self, found: Mapping[str, Value]) -> None:
        self._found = dict(found)

    def __getitem__(self, name: str) -> Value:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return "\n".join(table(self.header, self.rows()))

    @abstractmethod
    def rows(self) -> Sequence[Sequence[object]]:
        """Return a row for each value, below ``header``."""
