"""The modality ``graph``: node labels and labelled edges as padded ids, each with a mask."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from zoo import Axis, DataError, TensorSpec, UsageError, listed, normalised
from zoo_graph.drawing import picture_of
from zoo_graph.reading import GraphValue, graph_of

if TYPE_CHECKING:
    from PIL.Image import Image

ABSENT = 0  # padding; for a decoder, no node or no edge
UNKNOWN = 1
FIRST_LABEL = 2
UNREADABLE = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class _Labels:
    """The labels of nodes and edges that ``fit`` learnt; their ids follow those of padding and the unknown label."""

    nodes: tuple[str, ...]
    edges: tuple[str, ...]


@dataclass(frozen=True)
class GraphModality:
    """Graphs of at most ``max_nodes`` labelled nodes and ``max_edges`` labelled edges without direction.

    A raw value is a ``GraphValue``, a mapping such as ``{"nodes": ["C", "O"], "edges": [[0, 1]], "edge_labels":
    ["2"]}``, JSON of the same form or the path of such a file. ``fit`` learns the labels; any other label becomes the
    unknown one. An edge joins two different nodes, and no two nodes are joined twice. A larger graph is refused, not
    truncated, since that would make it a different graph.
    """

    max_nodes: Annotated[int, Ge(1)] = 64
    max_edges: Annotated[int, Ge(1)] = 128
    _learnt: _Labels | None = field(default=None, repr=False)

    @property
    def node_count(self) -> int:
        """The number of ids of nodes: padding, the unknown label and the learnt labels."""
        return FIRST_LABEL + len(self._labels.nodes)

    @property
    def edge_count(self) -> int:
        """The number of ids of edges: padding, the unknown label and the learnt labels."""
        return FIRST_LABEL + len(self._labels.edges)

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """Ids of nodes and edges, with zeros as padding, their masks, and the two nodes that each edge joins."""
        return {
            "node_ids": TensorSpec("int64", ("batch", "nodes"), 0, self.node_count - 1),
            "node_mask": TensorSpec("bool", ("batch", "nodes"), 0, 1),
            "edge_ends": TensorSpec("int64", ("batch", "edges", 2), 0, self.max_nodes - 1),
            "edge_ids": TensorSpec("int64", ("batch", "edges"), 0, self.edge_count - 1),
            "edge_mask": TensorSpec("bool", ("batch", "edges"), 0, 1),
        }

    @property
    def axes(self) -> Mapping[str, Axis]:
        """The numbers of nodes and of edges; a graph without edges has room for one."""
        return {"nodes": Axis(1, self.max_nodes, padded=True), "edges": Axis(1, self.max_edges, padded=True)}

    @property
    def file_suffixes(self) -> frozenset[str]:
        """Of the files that ``to_arrays`` reads."""
        return frozenset((".json",))

    def fit(self, values: Iterable[Any]) -> GraphModality:
        """Return a copy that knows the labels of ``values``, the most frequent first."""
        nodes: Counter[str] = Counter()
        edges: Counter[str] = Counter()
        for position, value in enumerate(listed(values, "graphs", once=True)):
            graph = graph_of(value, position)
            nodes.update(graph.nodes)
            edges.update(graph.labels_of_edges)
        return replace(self, _learnt=_Labels(_ranked(nodes), _ranked(edges)))

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the labels as JSON in UTF-8: a list for the nodes, one for the edges."""
        written = {"node_labels": self._labels.nodes, "edge_labels": self._labels.edges}
        return {
            name: np.frombuffer(json.dumps(labels, ensure_ascii=False).encode(), np.uint8).copy()
            for name, labels in written.items()
        }

    def with_state(self, state: Mapping[str, NDArray[Any]]) -> GraphModality:
        """Return a copy with the labels of an earlier fit."""
        return replace(self, _learnt=_Labels(_written(state, "node_labels"), _written(state, "edge_labels")))

    def to_arrays(self, values: Sequence[Any]) -> Mapping[str, NDArray[Any]]:
        """Return ids, ends and masks, as long as the largest graph has nodes and edges.

        Raises DataError, naming the position, the file and the edge, if a value is not a graph or is too large, and
        UsageError if a single graph is given in place of a list, or if the labels have not been learnt.
        """
        graphs = [
            self._fitting(graph_of(value, position), position)
            for position, value in enumerate(listed(values, "graphs"))
        ]
        nodes, edges = self._ids(self._labels.nodes), self._ids(self._labels.edges)
        width = max((len(graph.nodes) for graph in graphs), default=1)
        length = max((len(graph.edges) for graph in graphs), default=0) or 1
        arrays = _blank(len(graphs), width, length)
        for row, graph in enumerate(graphs):
            arrays["node_ids"][row, : len(graph.nodes)] = [nodes.get(label, UNKNOWN) for label in graph.nodes]
            arrays["node_mask"][row, : len(graph.nodes)] = True
            if graph.edges:
                arrays["edge_ends"][row, : len(graph.edges)] = graph.edges
                arrays["edge_ids"][row, : len(graph.edges)] = [edges.get(one, UNKNOWN) for one in graph.labels_of_edges]
                arrays["edge_mask"][row, : len(graph.edges)] = True
        return arrays

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> Sequence[GraphValue]:
        """Return graphs, from the arrays of ``to_arrays`` or from the probabilities of a decoder.

        From probabilities, a node gets its most probable label, and is left out if its absence is more probable; the
        same holds for edges. An unknown label becomes the replacement character.
        """
        if "node_probability" in arrays:
            return [
                self._most_probable(nodes, edges)
                for nodes, edges in zip(arrays["node_probability"], arrays["edge_probability"], strict=True)
            ]
        rows = zip(*(arrays[name] for name in self.tensors), strict=True)
        return [self._value(nodes[there], ends[joined], edges[joined]) for nodes, there, ends, edges, joined in rows]

    def example(
        self, batch: int, sizes: Mapping[str, int], *, generator: np.random.Generator
    ) -> Mapping[str, NDArray[Any]]:
        """Draw random graphs of unequal sizes; the first row fills the axes."""
        arrays = _blank(batch, sizes["nodes"], sizes["edges"])
        for row in range(batch):
            nodes = sizes["nodes"] if row == 0 else int(generator.integers(1, sizes["nodes"], endpoint=True))
            pairs = np.stack(np.triu_indices(nodes, 1), axis=1)
            most = min(sizes["edges"], len(pairs))
            edges = most if row == 0 else int(generator.integers(0, most, endpoint=True))
            arrays["node_ids"][row, :nodes] = generator.integers(UNKNOWN, self.node_count, nodes)
            arrays["node_mask"][row, :nodes] = True
            arrays["edge_ends"][row, :edges] = generator.permuted(generator.permutation(pairs)[:edges], axis=1)
            arrays["edge_ids"][row, :edges] = generator.integers(UNKNOWN, self.edge_count, edges)
            arrays["edge_mask"][row, :edges] = True
        return arrays

    def draw(self, value: Any) -> Image:
        """Return a picture of the graph, laid out if it has no positions."""
        return picture_of(value if isinstance(value, GraphValue) else graph_of(value, 0))

    @property
    def _labels(self) -> _Labels:
        if self._learnt is None:
            raise UsageError(
                "this graph modality has not learnt its labels yet; use what fit(values) or with_state(state) returns"
            )
        return self._learnt

    def _ids(self, labels: Sequence[str]) -> Mapping[str, int]:
        return {label: place for place, label in enumerate(labels, start=FIRST_LABEL)}

    def _fitting(self, graph: GraphValue, position: int) -> GraphValue:
        for kind, found, most in (("nodes", graph.nodes, self.max_nodes), ("edges", graph.edges, self.max_edges)):
            if len(found) > most:
                raise DataError(
                    f"graph {position}: has {len(found)} {kind}, expected at most {most}; leave it out, or set the "
                    f"modality's option 'max_{kind}'"
                )
        return graph

    def _most_probable(self, nodes: NDArray[Any], edges: NDArray[Any]) -> GraphValue:
        labels, joined = _best(nodes), np.triu(_best(edges), 1)
        there = np.flatnonzero(labels)
        ends = np.argwhere(joined[np.ix_(there, there)])
        return self._value(labels[there], ends, joined[there[ends[:, 0]], there[ends[:, 1]]])

    def _value(self, nodes: NDArray[Any], ends: NDArray[Any], edges: NDArray[Any]) -> GraphValue:
        def shown(labels: Sequence[str], ids: NDArray[Any]) -> tuple[str, ...]:
            return tuple(UNREADABLE if one < FIRST_LABEL else labels[one - FIRST_LABEL] for one in ids.tolist())

        return GraphValue(
            shown(self._labels.nodes, nodes),
            tuple((first, second) for first, second in ends.tolist()),
            shown(self._labels.edges, edges),
        )


def _blank(rows: int, nodes: int, edges: int) -> dict[str, NDArray[Any]]:
    return {
        "node_ids": np.zeros((rows, nodes), np.int64),
        "node_mask": np.zeros((rows, nodes), np.bool_),
        "edge_ends": np.zeros((rows, edges, 2), np.int64),
        "edge_ids": np.zeros((rows, edges), np.int64),
        "edge_mask": np.zeros((rows, edges), np.bool_),
    }


def _best(probability: NDArray[Any]) -> NDArray[Any]:
    """Return the most probable id along the last axis, except that of the unknown label."""
    known = probability.copy()
    known[..., UNKNOWN] = -1
    best: NDArray[Any] = known.argmax(axis=-1)
    return best


def _ranked(counts: Counter[str]) -> tuple[str, ...]:
    return tuple(sorted(counts, key=lambda label: (-counts[label], label)))


def _written(state: Mapping[str, NDArray[Any]], name: str) -> tuple[str, ...]:
    """Return the labels that ``state`` holds under ``name``; raise DataError if it holds something else."""
    try:
        labels = json.loads(state[name].astype(np.uint8, casting="no").tobytes())
        if not isinstance(labels, list):
            raise ValueError(f"expected a list of labels, got {labels!r:.80}")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"the state of a graph modality holds {name!r} as JSON; this one holds "
            f"{', '.join(sorted(state)) or 'nothing'}; fetch or train the model again"
        ) from error
    return tuple(normalised(str(label)) for label in labels)
