"""Names of tensors, graphs and translations: only this module joins them and takes them apart.

A tensor of an input is called ``<input>.<leaf>``, an output ``<graph>.<leaf>``. A graph is named after what it does
and the inputs involved. The name of an input contains no dot, but it may contain the other joining words, as
``speech_to_text`` does. So the kind of a graph is stored (``zoo.Graph.kind``) and never read from its name.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TypeVar

from zoo.errors import SpecError

ENCODE, DECODE, RECONSTRUCT, TRANSLATE, EMBED = "encode", "decode", "reconstruct", "translate", "embed"
# The kind of a front: a graph part that turns raw values into an input's tensors.
READ = "read"
# Kinds whose outputs are values of the input ``target``.
DECODING = (DECODE, RECONSTRUCT, TRANSLATE)
# The tensor of a graph that says which rows have an input: ``caption.present``.
PRESENT = "present"
# The tensor of a raw graph that holds a text as UTF-8 bytes, padded with zeros: ``caption.utf8``.
UTF8 = "utf8"
LATENT, EMBEDDING, LOG_VAR = "latent", "embedding", "log_var"
# The leaf names of outputs that hold one vector per row: ``encode_caption.embedding``.
VECTORS = (EMBEDDING, LATENT)
# The sign that joins the inputs of a subset: ``picture+caption``.
JOINER = "+"
# The first part of the names of metrics on samples of the prior: ``prior.class.coherence``.
PRIOR = "prior"
_RAW = ".raw"
_TO = "_to_"
_AVERAGE = re.compile(r"\d+-of-\d+")
Named = TypeVar("Named")


@dataclass(frozen=True)
class GraphFacts:
    """The facts about a graph: its ``kind``, the inputs that it reads and makes, and whether it reads raw values.

    ``source`` is empty if the graph reads a latent or all inputs, ``target`` if it makes a latent.
    """

    kind: str = ""
    source: str = ""
    target: str = ""
    raw: bool = False


def tensor_name(owner: str, leaf: str) -> str:
    """Return the full name of a tensor or free axis of an input, or of an output of a graph: ``caption.ids``."""
    return f"{owner}.{leaf}"


def with_owner(owner: str, named: Mapping[str, Named]) -> dict[str, Named]:
    """Return the mapping with full names, for an input or a graph: ``ids`` becomes ``caption.ids``."""
    return {tensor_name(owner, leaf): value for leaf, value in named.items()}


def of_owner(owner: str, named: Mapping[str, Named]) -> dict[str, Named]:
    """Return the entries of one input or graph, by leaf: ``caption.ids`` becomes ``ids``."""
    start = tensor_name(owner, "")
    return {name.removeprefix(start): value for name, value in named.items() if name.startswith(start)}


def leaf_of(name: str) -> str:
    """Return the name of a tensor without its owner; ``latent``, which has no owner, stays as it is."""
    owner, dot, leaf = name.partition(".")
    return leaf if dot else owner


def by_leaf(named: Mapping[str, Named]) -> dict[str, Named]:
    """Return entries of one owner by leaf, as a modality names the outputs of a decoder's graph."""
    return {leaf_of(name): value for name, value in named.items()}


def input_of(tensor: str) -> str:
    """Return the input that a tensor of a graph belongs to; ``latent``, which belongs to none, stays as it is."""
    return tensor.partition(".")[0]


def inputs_of(tensors: Iterable[str]) -> tuple[str, ...]:
    """Return the inputs that the tensors belong to, each once, in order."""
    return tuple(dict.fromkeys(map(input_of, tensors)))


def presences(tensors: Iterable[str]) -> dict[str, str]:
    """Return, for each input that has one, the tensor that says in which rows the input is present."""
    taken = list(tensors)
    return {name: present for name in inputs_of(taken) if (present := tensor_name(name, PRESENT)) in taken}


def is_text(tensor: str) -> bool:
    """Return whether a tensor that a graph reads holds texts as UTF-8 bytes."""
    return tensor == tensor_name(input_of(tensor), UTF8)


def vector_output(outputs: Iterable[str]) -> str:
    """Return the output of a graph that holds one vector per row, or an empty text if there is none."""
    names = tuple(outputs)
    ends = [(leaf, tensor_name("", leaf)) for leaf in VECTORS]
    return next((name for leaf, end in ends for name in names if name == leaf or name.endswith(end)), "")


def translation_name(source: str, target: str) -> str:
    """Return the name of the translation from one input, or several together, to another: ``caption_to_picture``."""
    return f"{source}{_TO}{target}"


def graph_name(kind: str, source: str = "", target: str = "", *, raw: bool = False) -> str:
    """Return the name of a graph: ``encode_caption``, ``translate_caption_to_picture``, ``embed``.

    The graph that reads raw values is called ``encode_caption.raw``.
    """
    inputs = translation_name(source, target) if source and target and source != target else source or target
    return f"{kind}_{inputs}{_RAW * raw}" if inputs else f"{kind}{_RAW * raw}"


def raw_name(graph: str) -> str:
    """Return the name of a graph in its version that reads raw values."""
    return f"{graph}{_RAW}"


def known_graphs(inputs: Sequence[str]) -> Iterator[GraphFacts]:
    """Yield the graphs that a model of these inputs may have, without those that read raw values."""
    yield GraphFacts(EMBED)
    for name in inputs:
        yield GraphFacts(ENCODE, source=name)
        yield GraphFacts(DECODE, target=name)
        yield GraphFacts(RECONSTRUCT, source=name, target=name)
    for source, target in permutations(inputs, 2):
        yield GraphFacts(TRANSLATE, source, target)


def facts_of(name: str, inputs: Sequence[str]) -> GraphFacts:
    """Return the facts about a graph from its name, since a manifest of schema 1 records only the name.

    ``inputs`` are the model's. For a graph that no first-party objective makes, only ``raw`` is known; the kind is
    empty.
    """
    stem = name.removesuffix(_RAW)
    raw = stem != name
    for facts in known_graphs(inputs):
        if graph_name(facts.kind, facts.source, facts.target) == stem:
            return GraphFacts(facts.kind, facts.source, facts.target, raw)
    return GraphFacts(raw=raw)


def average_name(size: int, inputs: int) -> str:
    """Return the name for the average over all subsets of one size: ``2-of-5``."""
    return f"{size}-of-{inputs}"


def is_average(name: str) -> bool:
    """Return whether a part of a metric's name is not about certain inputs, but about a subset size or the prior."""
    return name == PRIOR or bool(_AVERAGE.fullmatch(name))


def check_distinct(inputs: Sequence[str]) -> None:
    """Raise SpecError if joined names of inputs, in graphs and metrics, would be ambiguous.

    A keyword of Python is refused, too: torch writes programs with the names of modules as it exports a graph.
    """
    for name in filter(keyword.iskeyword, inputs):
        raise SpecError(
            f"spec.inputs.{name}: {name!r} is a keyword of Python, and the model could not be exported; choose another"
        )
    means = {name: f"the input {name!r}" for name in inputs}
    for name in filter(is_average, inputs):
        raise SpecError(f"spec.inputs.{name}: metrics use the name {name!r} for something else; choose another")
    for source, target in permutations(inputs, 2):
        joined, meant = translation_name(source, target), f"the way from {source!r} to {target!r}"
        if joined in means:
            raise SpecError(
                f"spec.inputs: {means[joined]} and {meant} would both be called {joined!r} in graphs and metrics; give "
                "one of these inputs another name"
            )
        means[joined] = meant


def is_of_inputs(name: str, inputs: Sequence[str]) -> bool:
    """Return whether a part of a metric's name is a subset of the inputs, or a translation to an input."""
    asked = [name, *(name.removesuffix(end) for to in inputs if name.endswith(end := translation_name("", to)))]
    return any(side and set(side.split(JOINER)) <= set(inputs) for side in asked)
