"""The inputs and outputs of a bundle's graph, by the names of raw values and of vectors."""

from __future__ import annotations

from zoo.errors import UnknownNameError, UsageError
from zoo.offers import ReadsFiles
from zoo.recipes import naming
from zoo.runtime.bundle import Bundle


def inputs_of(bundle: Bundle, graph: str) -> tuple[str, ...]:
    """Return the inputs of a graph by the names that raw values go by."""
    return naming.inputs_of(bundle.described(graph).inputs)


def file_suffixes(bundle: Bundle, graph: str) -> dict[str, frozenset[str]]:
    """Return the suffixes of files that each input of a graph reads, if its installed modality knows them."""
    found: dict[str, frozenset[str]] = {}
    for name in inputs_of(bundle, graph):
        if name in bundle.described(graph).inputs:
            continue  # the tensor belongs to no input, as a latent
        modality = bundle.known_modality(name)
        if isinstance(modality, ReadsFiles):
            found[name] = modality.file_suffixes
    return found


def output_of(bundle: Bundle, graph: str, output: str = "") -> str:
    """Return the output of a graph that is its vector: the embedding or latent, the only candidate, or ``output``.

    Raises UsageError if there are several candidates, or no output with one vector per row.
    """
    outputs = bundle.described(graph).outputs
    vectors = [
        name for name, spec in outputs.items() if len(spec.axes) == 2 and all(isinstance(a, int) for a in spec.axes[1:])
    ]
    if output and output not in vectors:
        raise UnknownNameError("vector output", output, vectors, hint=f"The graph {graph!r} has no other.")
    if taken := output or naming.vector_output(vectors):
        return taken
    if len(vectors) != 1:
        raise UsageError(f"the graph {graph!r} gives {', '.join(outputs)}: choose one by `output`")
    return vectors[0]
