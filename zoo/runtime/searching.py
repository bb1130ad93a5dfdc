"""The nearest of many vectors, exactly: block by block from the disk, the best so far kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zoo.errors import DataError, IntegrityError, UsageError
from zoo.runtime.bundle import Bundle
from zoo.runtime.embedding import inputs_of, output_of
from zoo.runtime.vectors import Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.protocols import Array

BLOCK_ROWS = 16_384
By = Literal["cosine", "dot"]


def nearest(
    vectors: Vectors, queries: Array, k: int = 10, *, by: By = "cosine"
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the rows nearest to each query and their scores, (query, k), the best first.

    Fewer than ``k`` where there are fewer rows; of equal scores the earlier row comes first. A row with a NaN comes
    last.

    Raises UsageError where ``k`` is below 1, the queries are no rows of numbers, or the widths differ.
    """
    if k < 1:
        raise UsageError(f"expected at least 1 row to find, got {k}")
    wanted: Array = np.ascontiguousarray(queries, np.float32)
    if wanted.ndim != 2:
        raise UsageError(f"expected queries of shape (query, number), got {wanted.shape}; give vector[None] for one")
    if by == "cosine":
        wanted = wanted / _lengths(wanted)
    rows = np.empty((len(wanted), 0), np.int64)
    scores = np.empty((len(wanted), 0), np.float32)
    for start, block in _blocks(vectors):
        if block.shape[1] != wanted.shape[1]:
            raise UsageError(
                f"{vectors.path} holds vectors of {block.shape[1]} numbers, the query has {wanted.shape[1]}; "
                "search with the model that made them"
            )
        found = wanted @ block.T  # (query, row)
        if by == "cosine":
            found /= _lengths(block).T
        scores = np.concatenate([scores, np.where(np.isnan(found), np.float32(-np.inf), found)], axis=1)
        rows = np.concatenate([rows, np.broadcast_to(np.arange(start, start + len(block)), found.shape)], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        rows, scores = np.take_along_axis(rows, best, axis=1), np.take_along_axis(scores, best, axis=1)
    return rows, scores


def query_vector(bundle: Bundle, vectors: Vectors, value: Any, *, graph: str = "") -> Array:
    """Return the vector of one raw value by the graph that fits: it reads the value and gives what ``vectors`` holds.

    Raises IntegrityError where the vectors are of another model, UsageError where no graph fits or several do.
    """
    made_by = vectors.manifest.get("checkpoint", "")
    if made_by and made_by != bundle.manifest.get("checkpoint_sha256", ""):
        raise IntegrityError(
            f"{vectors.path} was embedded by a model of sha256 {made_by}, {bundle.folder} is of "
            f"{bundle.manifest.get('checkpoint_sha256', 'none')}; embed again, or search with that model's bundle"
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
            answers[name] = bundle.run(name, {inputs[0]: [value]})[output_of(bundle, name)]
        except DataError as error:
            refusals.append(f"{name}: {error}")
    if len(answers) > 1:
        raise UsageError(f"{value!r:.80} may be read by {', '.join(answers)}; say by --graph which one is meant")
    if not answers:
        reasons = "; ".join(refusals) or f"no graph gives {output or 'a vector'}"
        raise UsageError(f"no graph of {bundle.folder} embeds {value!r:.80}: {reasons}")
    return next(iter(answers.values()))


def _graphs_that_give(bundle: Bundle, output: str) -> Iterator[str]:
    """Yield the encoders whose answer has the name of ``output``: one for each input."""
    leaf = output.rpartition(".")[2]
    seen: set[tuple[str, ...]] = set()
    for name in bundle.graphs:
        inputs = inputs_of(bundle, name)
        gives = [key.rpartition(".")[2] for key in bundle.described(name)["outputs"]]
        if len(inputs) == 1 and inputs not in seen and (leaf in gives if leaf else name.startswith("encode_")):
            seen.add(inputs)
            yield name


def _blocks(vectors: Vectors) -> Iterator[tuple[int, Array]]:
    start = 0
    for part in vectors.parts:
        array = part.array()
        for first in range(0, len(array), BLOCK_ROWS):
            yield start + first, np.asarray(array[first : first + BLOCK_ROWS], np.float32)
        start += len(array)


def _lengths(vectors: Array) -> Array:
    """Return the length of each vector as a column, 1 for the zero vector."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return np.where(lengths == 0, np.float32(1), lengths)
