"""Checks a graph's description of itself: its kind, and the inputs that it reads and makes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from zoo.protocols import Graph
from zoo.recipes.naming import DECODE, EMBED, ENCODE, LATENT, RECONSTRUCT, TRANSLATE, inputs_of

# By kind, whether it has a source and a target.
_ENDS: Mapping[str, tuple[bool, bool]] = {
    ENCODE: (True, False),
    DECODE: (False, True),
    RECONSTRUCT: (True, True),
    TRANSLATE: (True, True),
    EMBED: (False, False),
}


def require_kind(graph: Graph, inputs: Collection[str]) -> None:
    """Assert that the description of a graph fits a model of ``inputs``; an objective's own kind may read anything."""
    what = f"the graph {graph.name!r} of the kind {graph.kind!r}"
    names = ", ".join(inputs)
    for end, name in (("source", graph.source), ("target", graph.target)):
        assert not name or name in inputs, (
            f"{what} has the {end} {name!r}, which is not an input; the inputs are {names}"
        )
    assert not graph.raw, f"{what} says that it is raw, but the zoo itself makes the raw graphs; leave `raw` false"
    if graph.kind not in _ENDS:
        return
    for end, name, has_one in zip(("source", "target"), (graph.source, graph.target), _ENDS[graph.kind], strict=True):
        expected = f"one of {names}" if has_one else "no input"
        assert bool(name) == has_one, f"{what} has as its {end} {expected}, got {name!r}"
    if graph.source and graph.target:
        is_same = graph.kind == RECONSTRUCT
        assert (graph.source == graph.target) == is_same, (
            f"{what} has {'the same' if is_same else 'two different inputs as'} source and target, got "
            f"{graph.source!r} and {graph.target!r}"
        )
    reads = inputs_of(graph.inputs)
    takes = inputs if graph.kind == EMBED else (graph.source or LATENT,)
    strange = [name for name in reads if name not in takes]
    assert not strange, f"{what} reads {', '.join(takes)}, got tensors of {', '.join(strange)}"
