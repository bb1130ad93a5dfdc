"""Reads molecules from SD files: atoms, bonds and places of the V2000 form, and the data that follows them.

Source: Dassault Systèmes, "CTfile Formats", the chapters on molfiles and SDfiles. Properties that change a molecule but
are not supported, such as isotopes, radicals and query bonds, are refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from zoo import DataError

_END_OF_RECORD = "$$$$"
_HEADER_LINES = 4
_ORDERS = (1, 2, 3)


@dataclass(frozen=True)
class Bond:
    """Two atoms, numbered from 0, joined by one, two or three pairs of electrons."""

    first: int
    second: int
    order: int


@dataclass(frozen=True)
class Molecule:
    """The content of one record of an SD file, with one charge and one place per atom."""

    title: str
    elements: tuple[str, ...]
    charges: tuple[int, ...]
    places: tuple[tuple[float, float], ...]
    bonds: tuple[Bond, ...]
    data: Mapping[str, str]


def read_sdf(text: str, source: str) -> list[Molecule]:
    """Return the molecules of an SD file, whichever line ends it has; ``source`` is its name, for messages.

    Raises DataError, naming the line, if a record is cut off or holds something that is not supported.
    """
    lines = text.splitlines()
    found = []
    start = 0
    for place, line in enumerate(lines):
        if line == _END_OF_RECORD:
            found.append(_Record(lines[start:place], start + 1, source).molecule())
            start = place + 1
    if any(line.strip() for line in lines[start:]):
        raise DataError(f"{source}: the record from line {start + 1} on lacks its end, {_END_OF_RECORD}; it is cut off")
    return found


@dataclass(frozen=True)
class _Record:
    """The lines of one record, the first of which is the line ``number`` of the file."""

    lines: Sequence[str]
    number: int
    source: str

    def molecule(self) -> Molecule:
        counts = self._line(_HEADER_LINES - 1)
        if not counts.rstrip().endswith("V2000"):
            raise self._error(_HEADER_LINES - 1, "a line of counts that ends in V2000")
        atoms, bonds = (self._count(_HEADER_LINES - 1, slice(at, at + 3)) for at in (0, 3))
        first_bond = _HEADER_LINES + atoms
        properties = first_bond + bonds
        rows = range(_HEADER_LINES, first_bond)
        end, charges = self._charges(properties, atoms)
        return Molecule(
            self.lines[0].strip(),
            tuple(self._element(row) for row in rows),
            charges,
            tuple((self._place(row, slice(0, 10)), self._place(row, slice(10, 20))) for row in rows),
            tuple(self._bond(row, atoms) for row in range(first_bond, properties)),
            dict(self._data(end + 1)),
        )

    def _element(self, row: int) -> str:
        element = self._line(row)[31:34].strip()
        if not element.isalpha():
            raise self._error(row, "an element")
        return element

    def _bond(self, row: int, atoms: int) -> Bond:
        first, second, order = (self._number(row, slice(at, at + 3)) for at in (0, 3, 6))
        if not (1 <= first <= atoms and 1 <= second <= atoms and first != second):
            raise self._error(row, f"a bond between two atoms from 1 to {atoms}")
        if order not in _ORDERS:
            raise self._error(row, "a bond of order 1, 2 or 3")
        return Bond(first - 1, second - 1, order)

    def _charges(self, row: int, atoms: int) -> tuple[int, tuple[int, ...]]:
        """Return where the properties that start at ``row`` end, and the charge of each atom."""
        charges = [0] * atoms
        while not self._line(row).startswith("M  END"):
            if not self._line(row).startswith("M  CHG"):
                raise self._error(row, "M  CHG or M  END")
            for pair in range(self._number(row, slice(6, 9))):
                atom, charge = (self._number(row, slice(at, at + 4)) for at in (9 + 8 * pair, 13 + 8 * pair))
                if not 1 <= atom <= atoms:
                    raise self._error(row, f"charges of atoms from 1 to {atoms}")
                charges[atom - 1] = charge
            row += 1
        return row, tuple(charges)

    def _data(self, row: int) -> Iterator[tuple[str, str]]:
        """Yield the names and values after the molecule; a value ends with an empty line."""
        while row < len(self.lines):
            header = self._line(row)
            if header.strip():
                if not header.startswith(">") or "<" not in header or ">" not in header[1:]:
                    raise self._error(row, "the header of a value, such as > <NAME>")
                stop = row + 1
                while stop < len(self.lines) and self.lines[stop].strip():
                    stop += 1
                yield header.split("<", 1)[1].split(">", 1)[0], "\n".join(self.lines[row + 1 : stop])
                row = stop
            row += 1

    def _number(self, row: int, columns: slice) -> int:
        try:
            return int(self._line(row)[columns])
        except ValueError as error:
            raise self._error(row, f"a whole number in the columns {columns.start + 1} to {columns.stop}") from error

    def _count(self, row: int, columns: slice) -> int:
        if (count := self._number(row, columns)) < 0:
            raise self._error(row, f"a number from 0 in the columns {columns.start + 1} to {columns.stop}")
        return count

    def _place(self, row: int, columns: slice) -> float:
        try:
            place = float(self._line(row)[columns])
        except ValueError:
            place = math.nan
        if not math.isfinite(place):
            raise self._error(row, f"a coordinate in the columns {columns.start + 1} to {columns.stop}")
        return place

    def _line(self, row: int) -> str:
        if row >= len(self.lines):
            raise DataError(
                f"{self.source}: the record from line {self.number} on ends before its line {row + 1}; it is cut off"
            )
        return self.lines[row]

    def _error(self, row: int, expected: str) -> DataError:
        return DataError(f"{self.source}, line {self.number + row}: expected {expected}, got {self._line(row)!r:.80}")
