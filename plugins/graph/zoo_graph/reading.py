"""Reads graphs: a value, a mapping, JSON text or the path of a JSON file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import DataError, normalised

LARGEST_FILE_BYTES = 2**26
_KEYS = ("nodes", "edges", "edge_labels", "positions")
_EXPECTED = f"a GraphValue, a mapping with {', '.join(_KEYS)}, JSON of the same form, or the path of such a file"


@dataclass(frozen=True)
class GraphValue:
    """A graph: one label per node, undirected edges with labels, and positions if they are known.

    An edge is a pair of node numbers from 0. ``edge_labels`` holds one label per edge; without them every edge has the
    empty label. ``positions`` are only for drawing, x to the right and y upwards; without them a picture lays the graph
    out.
    """

    nodes: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()
    edge_labels: tuple[str, ...] | None = None
    positions: tuple[tuple[float, float], ...] | None = None

    @property
    def labels_of_edges(self) -> tuple[str, ...]:
        """One label per edge, the empty one if none were given."""
        return ("",) * len(self.edges) if self.edge_labels is None else self.edge_labels


def graph_of(value: Any, position: int) -> GraphValue:
    """Return a raw value as a graph, checked; ``position`` is for the message.

    Raises DataError if ``value`` is not a graph, a file is missing or not JSON, there are no nodes, an edge names a
    missing node, joins a node with itself or comes twice, or the number of labels or positions is wrong.
    """
    if isinstance(value, GraphValue):
        return _checked(asdict(value), f"graph {position}")
    if isinstance(value, Mapping):
        return _checked(value, f"graph {position}")
    if isinstance(value, str) and value.lstrip().startswith("{"):
        return _parsed(value, f"graph {position}")
    if isinstance(value, str | Path):
        return _parsed(_content(Path(value), what := f"graph {position} ({value})"), what)
    raise DataError(f"graph {position}: expected {_EXPECTED}; got {type(value).__name__}")


def _content(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise DataError(f"{what}: there is no file {path.absolute()}; correct the path") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{what}: cannot be read: {error}; name a JSON file") from error
    if len(content) > LARGEST_FILE_BYTES:
        raise DataError(f"{what}: expected at most {LARGEST_FILE_BYTES} bytes; write one graph per file")
    return content


def _parsed(content: str | bytes, what: str) -> GraphValue:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{what}: cannot be read as JSON: {error}; write an object with {', '.join(_KEYS)}") from error
    if not isinstance(found, dict):
        raise DataError(
            f"{what}: expected a JSON object with {', '.join(_KEYS)}; got one of type {type(found).__name__}"
        )
    return _checked(found, what)


def _checked(found: Mapping[Any, Any], what: str) -> GraphValue:
    if unknown := [key for key in found if key not in _KEYS]:
        raise DataError(f"{what}: has {unknown[0]!r}; expected {', '.join(_KEYS)} and nothing else")
    nodes = _labels(found.get("nodes"), "node", what)
    if not nodes:
        raise DataError(f"{what}: has no nodes, expected at least one; leave it out")
    edges = _edges(found.get("edges"), len(nodes), what)
    edge_labels = None if found.get("edge_labels") is None else _labels(found["edge_labels"], "edge label", what)
    if edge_labels is not None and len(edge_labels) != len(edges):
        raise DataError(
            f"{what}: has {len(edges)} edges and {len(edge_labels)} edge labels; give one per edge, or none at all"
        )
    positions = None if found.get("positions") is None else _positions(found["positions"], what)
    if positions is not None and len(positions) != len(nodes):
        raise DataError(
            f"{what}: has {len(nodes)} nodes and {len(positions)} positions; give one per node, or none at all"
        )
    return GraphValue(nodes, edges, edge_labels, positions)


def _labels(found: Any, kind: str, what: str) -> tuple[str, ...]:
    labels = _sequence(found, f"{kind}s", what)
    for place, label in enumerate(labels):
        if not isinstance(label, str):
            raise DataError(f"{what}: {kind} {place} is {label!r:.60}; expected a label (a str)")
    return tuple(map(normalised, labels))


def _edges(found: Any, nodes: int, what: str) -> tuple[tuple[int, int], ...]:
    edges: dict[tuple[int, int], tuple[int, int]] = {}
    for place, edge in enumerate(_sequence(found, "edges", what)):
        ends = _pair(edge)
        if ends is None or not all(isinstance(end, int | np.integer) and not isinstance(end, bool) for end in ends):
            raise DataError(
                f"{what}: edge {place} is {edge!r:.60}; expected the numbers of the two nodes that it joins"
            )
        first, second = sorted(map(int, ends))
        joins = f"{what}: edge {place} joins the nodes {int(ends[0])} and {int(ends[1])}"
        if first < 0 or second >= nodes:
            raise DataError(f"{joins}; expected numbers from 0 to {nodes - 1}, as there are {nodes} nodes")
        if first == second:
            raise DataError(f"{joins}, which are one; leave it out")
        if (first, second) in edges:
            raise DataError(f"{joins} again; edges have no direction, give each once")
        edges[first, second] = (int(ends[0]), int(ends[1]))
    return tuple(edges.values())


def _positions(found: Any, what: str) -> tuple[tuple[float, float], ...]:
    positions = []
    for place, position in enumerate(_sequence(found, "positions", what)):
        pair = _pair(position)
        if pair is None or not all(isinstance(one, int | float | np.number) and math.isfinite(one) for one in pair):
            raise DataError(f"{what}: position {place} is {position!r:.60}; expected two finite numbers, x and y")
        positions.append((float(pair[0]), float(pair[1])))
    return tuple(positions)


def _pair(found: Any) -> tuple[Any, Any] | None:
    pair = found.tolist() if isinstance(found, np.ndarray) else found
    return (pair[0], pair[1]) if isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2 else None


def _sequence(found: Any, name: str, what: str) -> Sequence[Any]:
    if found is None:
        return ()
    if isinstance(found, np.ndarray):
        return list(found)
    if isinstance(found, str | bytes) or not isinstance(found, Sequence):
        raise DataError(f"{what}: {name} are {found!r:.60}; expected a list")
    return found
