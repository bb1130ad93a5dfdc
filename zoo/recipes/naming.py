"""Names of tensors, graphs and translations: joined here, and taken apart here alone.

A tensor of an input is called ``<input>.<leaf>``, an output ``<graph>.<leaf>``, a graph after what it does and the
inputs that it does it with. No input has a dot in its name, but it may have all else that joins names, as
``speech_to_text`` has: so a graph says what it is (``zoo.Graph.kind``), and its name is never taken apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TypeVar

from zoo.errors import SpecError

ENCODE, DECODE, RECONSTRUCT, TRANSLATE, EMBED = "encode", "decode", "reconstruct", "translate", "embed"
# What turns raw values into an input's tensors, inside other graphs.
READ = "read"
# Kinds whose outputs are values of the input ``target``.
DECODING = (DECODE, RECONSTRUCT, TRANSLATE)
# The tensor of a graph that says which rows have an input: ``caption.present``.
PRESENT = "present"
# The tensor of a raw graph that holds a text: its bytes in UTF-8, with zeros after them: ``caption.utf8``.
UTF8 = "utf8"
LATENT, EMBEDDING, LOG_VAR = "latent", "embedding", "log_var"
# What an output is called that is the vector of a row: ``encode_caption.embedding``.
VECTORS = (EMBEDDING, LATENT)
# What joins the inputs of a subset: ``picture+caption``.
JOINER = "+"
# What leads a metric of what the prior draws: ``prior.class.coherence``.
PRIOR = "prior"
_RAW = ".raw"
_TO = "_to_"
_AVERAGE = re.compile(r"\d+-of-\d+")
Named = TypeVar("Named")


@dataclass(frozen=True)
class GraphFacts:
    """What a graph is: its ``kind``, the inputs that it reads from and makes, and whether it reads raw values.

    ``source`` is empty where it reads a latent or all inputs, ``target`` where it makes a latent.
    """

    kind: str = ""
    source: str = ""
    target: str = ""
    raw: bool = False


def tensor_name(owner: str, leaf: str) -> str:
    """Return what a tensor or a free axis of an input is called, or an output of a graph: ``caption.ids``."""
    return f"{owner}.{leaf}"


def with_owner(owner: str, named: Mapping[str, Named]) -> dict[str, Named]:
    """Return the same by the names that they have as those of an input or a graph: ``ids`` as ``caption.ids``."""
    return {tensor_name(owner, leaf): value for leaf, value in named.items()}


def of_owner(owner: str, named: Mapping[str, Named]) -> dict[str, Named]:
    """Return what belongs to an input or a graph, by its leaves: ``caption.ids`` as ``ids``."""
    start = tensor_name(owner, "")
    return {name.removeprefix(start): value for name, value in named.items() if name.startswith(start)}


def leaf_of(name: str) -> str:
    """Return what a tensor is called without its owner; ``latent``, which belongs to none, is itself."""
    owner, dot, leaf = name.partition(".")
    return leaf if dot else owner


def by_leaf(named: Mapping[str, Named]) -> dict[str, Named]:
    """Return what has one owner, by its leaves: what a decoder's graph makes as the modality knows it."""
    return {leaf_of(name): value for name, value in named.items()}


def input_of(tensor: str) -> str:
    """Return the input that a tensor, which a graph reads, belongs to; ``latent``, which belongs to none, is itself."""
    return tensor.partition(".")[0]


def inputs_of(tensors: Iterable[str]) -> tuple[str, ...]:
    """Return the names that the values of the tensors go by, each once, in their order."""
    return tuple(dict.fromkeys(map(input_of, tensors)))


def presences(tensors: Iterable[str]) -> dict[str, str]:
    """Return, by input, the tensor that says which rows have it, of the inputs for which there is one."""
    taken = list(tensors)
    return {name: present for name in inputs_of(taken) if (present := tensor_name(name, PRESENT)) in taken}


def is_text(tensor: str) -> bool:
    """Return whether a tensor that a graph reads holds texts as bytes in UTF-8."""
    return tensor == tensor_name(input_of(tensor), UTF8)


def vector_output(outputs: Iterable[str]) -> str:
    """Return the output of a graph that is the vector of a row, empty where it has none."""
    names = tuple(outputs)
    ends = [(leaf, tensor_name("", leaf)) for leaf in VECTORS]
    return next((name for leaf, end in ends for name in names if name == leaf or name.endswith(end)), "")


def translation_name(source: str, target: str) -> str:
    """Return what the way from an input, or from several together, to another is called: ``caption_to_picture``."""
    return f"{source}{_TO}{target}"


def graph_name(kind: str, source: str = "", target: str = "", *, raw: bool = False) -> str:
    """Return what a graph is called: ``encode_caption``, ``translate_caption_to_picture``, ``embed``.

    The graph that reads raw values is called ``encode_caption.raw``.
    """
    inputs = translation_name(source, target) if source and target and source != target else source or target
    return f"{kind}_{inputs}{_RAW * raw}" if inputs else f"{kind}{_RAW * raw}"


def raw_name(graph: str) -> str:
    """Return what a graph is called once it reads raw values."""
    return f"{graph}{_RAW}"


def known_graphs(inputs: Sequence[str]) -> Iterator[GraphFacts]:
    """Yield the graphs that a model of these inputs may have, those of tensors alone."""
    yield GraphFacts(EMBED)
    for name in inputs:
        yield GraphFacts(ENCODE, source=name)
        yield GraphFacts(DECODE, target=name)
        yield GraphFacts(RECONSTRUCT, source=name, target=name)
    for source, target in permutations(inputs, 2):
        yield GraphFacts(TRANSLATE, source, target)


def facts_of(name: str, inputs: Sequence[str]) -> GraphFacts:
    """Return what a graph is by its name, in a manifest of schema 1, which says no more; ``inputs`` are the model's.

    Of a graph that no first-party objective makes, it tells whether it reads raw values, and no kind.
    """
    stem = name.removesuffix(_RAW)
    raw = stem != name
    for facts in known_graphs(inputs):
        if graph_name(facts.kind, facts.source, facts.target) == stem:
            return GraphFacts(facts.kind, facts.source, facts.target, raw)
    return GraphFacts(raw=raw)


def average_name(size: int, inputs: int) -> str:
    """Return what all subsets of a size are called together: ``2-of-5``."""
    return f"{size}-of-{inputs}"


def is_average(name: str) -> bool:
    """Return whether a part of a metric's name is of no inputs in particular: of a size of subsets, or of the prior."""
    return name == PRIOR or bool(_AVERAGE.fullmatch(name))


def check_distinct(inputs: Sequence[str]) -> None:
    """Raise SpecError if names of the inputs could not be told apart where they are joined, in graphs and metrics."""
    means = {name: f"the input {name!r}" for name in inputs}
    for name in filter(is_average, inputs):
        raise SpecError(f"spec.inputs.{name}: metrics have the name {name!r} for something else; choose another")
    for source, target in permutations(inputs, 2):
        joined, meant = translation_name(source, target), f"the way from {source!r} to {target!r}"
        if joined in means:
            raise SpecError(
                f"spec.inputs: {means[joined]} and {meant} would both be called {joined!r} in graphs and metrics; give "
                "one of these inputs another name"
            )
        means[joined] = meant


def is_of_inputs(name: str, inputs: Sequence[str]) -> bool:
    """Return whether a part of a metric's name is a subset of the inputs, or a way from one to an input."""
    asked = [name, *(name.removesuffix(end) for to in inputs if name.endswith(end := translation_name("", to)))]
    return any(side and set(side.split(JOINER)) <= set(inputs) for side in asked)
