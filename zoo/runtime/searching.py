"""The nearest of many vectors, exactly: read from the disk block by block, keeping the best so far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from zoo.errors import DataError, IntegrityError, UsageError
from zoo.recipes.naming import ENCODE, by_leaf, leaf_of
from zoo.runtime.bundle import Bundle
from zoo.runtime.ends import file_suffixes, inputs_of, output_of
from zoo.runtime.vectors import Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.protocols import Array

BLOCK_ROWS = 16_384
_EPSILON = 2.0**-23
_SMALLEST_SQUARED = 1e-30  # below it the squares of float32 lose digits
By = Literal["cosine", "dot"]


def nearest(
    vectors: Vectors, queries: Array, k: int = 10, *, by: By = "cosine"
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the rows nearest to each query and their scores, (query, k), the best first.

    There are fewer than ``k`` if there are fewer rows. Among equal scores the earlier row comes first. A row with a NaN
    comes last. Rows are ordered by scores in float64, each computed from its row alone.

    Raises UsageError if ``k`` is below 1, there is no such score, the queries are not rows of numbers, or the widths
    differ.
    """
    if by not in get_args(By):
        raise UsageError(f"rows are scored by {', '.join(get_args(By))}; got {by!r}")
    if k < 1:
        raise UsageError(f"expected at least 1 row to find, got {k}")
    wanted: Array = np.asarray(queries, np.float64)
    if wanted.ndim != 2:
        raise UsageError(f"expected queries of shape (query, number), got {wanted.shape}; give vector[None] for one")
    if by == "cosine":
        wanted = wanted / _lengths(wanted)[:, None]
    found = [_Best(np.empty(0, np.int64), np.empty(0, np.float64)) for _ in wanted]
    for start, block in _blocks(vectors):
        if block.shape[1] != wanted.shape[1]:
            raise UsageError(
                f"{vectors.path} holds vectors of {block.shape[1]} numbers, the query has {wanted.shape[1]}; "
                "search with the model that made them"
            )
        rough = _rough(wanted, block, by)
        for place, (query, best) in enumerate(zip(wanted, found, strict=True)):
            found[place] = best.joined(start, block, query, rough.of(place), k, by)
    shape = len(wanted), min(k, vectors.rows)
    rows = np.array([best.rows for best in found], np.int64).reshape(shape)
    with np.errstate(over="ignore"):  # a product may overflow float32
        return rows, np.array([best.scores for best in found]).astype(np.float32).reshape(shape)


@dataclass(frozen=True)
class _Rough:
    """Scores by a product of float32 matrices, and a bound on the error of each; NaN if unknown."""

    scores: Array
    errors: Array

    def of(self, query: int) -> tuple[Array, Array]:
        """Return a lower and an upper bound on the score of each row for a query."""
        scores = self.scores[query].astype(np.float64)
        errors = self.errors[query] if len(self.errors) > 1 else self.errors[0]
        return scores - errors, scores + errors


@dataclass(frozen=True)
class _Best:
    """The best rows so far and their scores in float64, the best first."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]

    def joined(self, start: int, block: Array, query: Array, rough: tuple[Array, Array], k: int, by: By) -> _Best:
        """Return the ``k`` best of these and of a block; rows whose bounds exclude them are skipped."""
        least, most = rough
        sure = np.concatenate([self.scores, np.where(np.isnan(least), -np.inf, least)])
        bar = np.partition(sure, -k)[-k] if len(sure) > k else -np.inf
        candidates = np.flatnonzero(~(most < bar))
        exact = _exact(block[candidates].astype(np.float64), query, by)
        rows = np.concatenate([self.rows, start + candidates])
        scores = np.concatenate([self.scores, np.where(np.isnan(exact), -np.inf, exact)])
        best = np.argsort(-scores, kind="stable")[:k]
        return _Best(rows[best], scores[best])


@dataclass(frozen=True)
class Query:
    """The vector of a query, (1, width), and whether the value was truncated."""

    vector: Array
    truncated: bool


def query_vector(bundle: Bundle, vectors: Vectors, value: Any, *, graph: str = "") -> Array:
    """Return the vector of one raw value, as ``query_of`` does."""
    return query_of(bundle, vectors, value, graph=graph).vector


def query_of(bundle: Bundle, vectors: Vectors, value: Any, *, graph: str = "") -> Query:
    """Return the vector of one raw value, by the graph that reads the value and returns what ``vectors`` holds.

    Raises IntegrityError if the vectors are of another model; UsageError if no graph fits, if several do, or if the
    value names a file that a graph would read but cannot.
    """
    made_by = vectors.manifest.get("checkpoint", "")
    if made_by and made_by != bundle.manifest.checkpoint_sha256:
        raise IntegrityError(
            f"{vectors.path} was embedded by a model of sha256 {made_by}, {bundle.folder} is of "
            f"{bundle.manifest.checkpoint_sha256 or 'none'}; embed again, or search with that model's bundle"
        )
    output = str(vectors.manifest.get("output", ""))
    candidates = (graph,) if graph else tuple(_graphs_that_give(bundle, output))
    answers, refusals = {}, []
    for name in candidates:
        inputs = inputs_of(bundle, name)
        if len(inputs) != 1:
            refusals.append(f"{name} takes {', '.join(inputs)}")
            continue
        try:
            prepared = bundle.prepared(name, {inputs[0]: [value]})
            vector = bundle.run_arrays(name, prepared.arrays)[output_of(bundle, name)]
            answers[name] = Query(vector, bool(prepared.truncated))
        except DataError as error:
            refusals.append(f"{name}: {error}")
            if not graph and _ends_as_file(bundle, name, value):
                raise UsageError(f"{error}; to search for {value!r:.80} itself, name a graph by `graph`") from error
    if len(answers) > 1:
        raise UsageError(f"{value!r:.80} may be read by {', '.join(answers)}; choose one by `graph`")
    if not answers:
        reasons = "; ".join(refusals) or f"no graph gives {output or 'a vector'}"
        raise UsageError(f"no graph of {bundle.folder} embeds {value!r:.80}: {reasons}")
    return next(iter(answers.values()))


def _ends_as_file(bundle: Bundle, graph: str, value: Any) -> bool:
    ends = frozenset[str]().union(*file_suffixes(bundle, graph).values())
    return isinstance(value, str) and Path(value).suffix.lower() in ends


def _graphs_that_give(bundle: Bundle, output: str) -> Iterator[str]:
    """Yield the encoders whose output has the name of ``output``: one per input."""
    leaf = leaf_of(output)
    seen: set[tuple[str, ...]] = set()
    for name in bundle.graphs:
        inputs = inputs_of(bundle, name)
        described = bundle.described(name)
        gives = by_leaf(described.outputs)
        if len(inputs) == 1 and inputs not in seen and (leaf in gives if leaf else described.kind == ENCODE):
            seen.add(inputs)
            yield name


def _blocks(vectors: Vectors) -> Iterator[tuple[int, Array]]:
    start = 0
    for part in vectors.parts:
        array = part.array()
        for first in range(0, len(array), BLOCK_ROWS):
            yield start + first, np.asarray(array[first : first + BLOCK_ROWS], np.float32)
        start += len(array)


def _rough(wanted: Array, block: Array, by: By) -> _Rough:
    with np.errstate(all="ignore"):
        scores = wanted.astype(np.float32) @ block.T
        squared = np.einsum("ij,ij->i", block, block)
        lengths = np.where(squared > _SMALLEST_SQUARED, np.sqrt(squared), np.nan)  # infinite if it overflows
        share = (block.shape[1] + 2) * _EPSILON
        if by == "cosine":
            return _Rough(scores / lengths, np.where(np.isfinite(lengths), share, np.nan)[None])
        return _Rough(scores, share * _lengths(wanted)[:, None] * np.where(np.isfinite(lengths), lengths, np.nan))


def _exact(rows: Array, query: Array, by: By) -> Array:
    """Return the score of each row, by sums along it, so that its position in memory changes no bit."""
    products: Array = (rows * query).sum(axis=1)
    return products / _lengths(rows) if by == "cosine" else products


def _lengths(vectors: Array) -> Array:
    """Return the length of each vector, 1 for the zero vector."""
    lengths = np.sqrt((vectors * vectors).sum(axis=1))
    return np.where(lengths == 0, 1, lengths)
