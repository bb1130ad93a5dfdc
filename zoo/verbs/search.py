"""The rows whose vectors are nearest to a value's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, overload

from zoo.recipes.arguments import checked
from zoo.runtime.bundle import Bundle
from zoo.runtime.searching import nearest, query_of
from zoo.runtime.vectors import Vectors
from zoo.verbs.bundles import bundle_of
from zoo.verbs.texts import table

HEADER = ("SCORE", "ROW", "VALUE")
_MOST_DIGITS = 6


@dataclass(frozen=True)
class Hit:
    """A row of the result, counted from 0, its score, and its record in the source, such as its ``value``."""

    row: int
    score: float
    known: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> str:
        """The row's name for a person, empty if it was not kept."""
        return str(self.known.get("value", ""))

    def written(self) -> dict[str, Any]:
        """Return the hit for JSON."""
        return {"row": self.row, "score": self.score, **self.known}


class Hits(Sequence[Hit]):
    """The resulting rows, the nearest first; shown as the table that ``zoo search`` prints.

    ``truncated`` says whether the query was truncated.
    """

    def __init__(self, found: Sequence[Hit], *, truncated: bool) -> None:
        self._found = tuple(found)
        self.truncated = truncated

    @overload
    def __getitem__(self, place: int) -> Hit: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Hit]: ...

    def __getitem__(self, place: int | slice) -> Hit | Sequence[Hit]:
        return self._found[place]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return "\n".join(table(HEADER, self.rows()))

    def rows(self) -> list[tuple[str | int, ...]]:
        """Return a row per hit, below ``HEADER``."""
        return [(f"{hit.score:.4f}", hit.row, hit.value) for hit in self]


@checked
def search(
    bundle: str | os.PathLike[str] | Bundle,
    vectors: str | os.PathLike[str] | Vectors,
    query: Any,
    *,
    k: int = 10,
    graph: str = "",
    by: Literal["cosine", "dot"] = "cosine",
) -> Hits:
    """Find the ``k`` rows whose vectors are nearest to that of ``query``, a text, a path or another raw value.

    ``vectors`` are the output of ``zoo.embed``, or an ``.npy`` with one vector per row. ``graph`` embeds the query; it
    must be given if several could. ``by`` is the score: cosine, or dot product.

    Raises IntegrityError if the vectors are of another model, UsageError if no graph fits or several do, or if ``by``
    is another score.
    """
    held = vectors if isinstance(vectors, Vectors) else Vectors.open(Path(vectors))
    asked = query_of(bundle_of(bundle), held, query, graph=graph)
    (rows,), (scores,) = nearest(held, asked.vector, k, by=by)
    keys = held.keys(rows.tolist())
    found = [
        Hit(row, round(score, _MOST_DIGITS), key)
        for row, score, key in zip(rows.tolist(), scores.tolist(), keys, strict=True)
    ]
    return Hits(found, truncated=asked.truncated)
