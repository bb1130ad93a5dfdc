"""Which provider runs which node of a graph, and whether important nodes run on another one than the requested one.

onnxruntime computes shapes on the CPU on any provider: a few numbers, which were never on the device. Any other node on
the CPU costs a copy in each direction. The package ``onnx``, which serving does not need, shows which nodes compute
shapes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import MissingExtraError, ZooError
from zoo.runtime.loading import PROVIDERS, load

if TYPE_CHECKING:
    from onnx import ModelProto

_RECORD = {"session.record_ep_graph_assignment_info": "1"}
_SHAPES = frozenset({"Shape", "Size"})


@dataclass(frozen=True)
class Node:
    """A node as onnxruntime placed it, after it fused and removed some."""

    name: str
    operator: str
    provider: str


@dataclass(frozen=True)
class Placement:
    """The nodes of a graph by provider, and those that stray: on another provider, and not computing shapes."""

    graph: str
    wanted: str
    nodes: tuple[Node, ...]
    strays: tuple[Node, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """The number of nodes on each provider."""
        return Counter(node.provider for node in self.nodes)

    def require(self) -> None:
        """Raise ZooError, naming the operators, if a node strays."""
        if self.strays:
            kinds = Counter(node.operator for node in self.strays)
            listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            raise ZooError(
                f"{self.graph}: {listed} run on {self.strays[0].provider} and not on {self.wanted}, at a copy each "
                "way; replace the operation in the encoder or decoder by one that the provider has"
            )


def placement(path: Path, *, provider: str = "cpu") -> Placement:
    """Return where the nodes of the ONNX file at ``path`` run on a provider.

    Raises MissingExtraError if ``onnx`` is not installed.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        remark = ", which is needed to see what a graph's nodes compute"
        raise MissingExtraError("onnx", ["modalzoo-onnx"], remark=remark) from error
    session = load(path, provider=provider, settings=_RECORD)
    nodes = tuple(
        Node(node.name, node.op_type, part.ep_name)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    )
    return placed(onnx.load(path, load_external_data=False), path.stem, PROVIDERS[provider], nodes)


def placed(model: ModelProto, graph: str, wanted: str, nodes: Iterable[Node]) -> Placement:
    """Return the placement of nodes of a model."""
    shapes = frozenset(shape_arithmetic(model))
    nodes = tuple(nodes)
    strays = tuple(node for node in nodes if node.provider != wanted and node.name not in shapes)
    return Placement(graph, wanted, nodes, strays)


def shape_arithmetic(model: ModelProto) -> Iterator[str]:
    """Yield the names of the nodes that compute only from sizes and constants."""
    known = {initialiser.name for initialiser in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in _SHAPES or all(name in known for name in node.input if name):
            known.update(node.output)
            yield node.name
