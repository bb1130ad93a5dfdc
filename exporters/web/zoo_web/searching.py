"""The data for a page that searches by words: things, their vectors and pictures, and a few words to try."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import Dataset, NotFoundError, Sample, UsageError, by_leaf, tensor_name
from zoo_web.tiles import write_tiles

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from zoo import Bundle

    Array = NDArray[Any]

VECTORS = "search.vectors"
SHOWN = 24
_SEEN_SPLIT = "train"
_SPLITS = (_SEEN_SPLIT, "validation", "test")
_MOST_THINGS = 4096
_TRIED_PER_LANGUAGE = 4
_LONGEST_TRIED = 16


@dataclass(frozen=True)
class Pair:
    """The graph that embeds a text given as bytes, and the one that embeds other values in the same space.

    ``text`` is the input that is typed, ``thing`` the one that is found.
    """

    words: str
    words_output: str
    text: str
    things: str
    things_output: str
    thing: str


@dataclass
class Thing:
    """One thing to search for, with its names by language; ``unseen`` if no training row had it."""

    value: Any
    drawn: Image
    unseen: bool
    names: dict[str, str] = field(default_factory=dict)


def pair_of(graphs: Mapping[str, Any]) -> Pair | None:
    """Return the two graphs that a search needs, or None if a bundle lacks them."""
    embedding = {
        name: output
        for name, graph in graphs.items()
        for leaf, output in by_leaf({output: output for output in graph.outputs}).items()
        if graph.kind == "encode" and leaf == "embedding"
    }
    for words, words_output in embedding.items():
        text = graphs[words].source
        if not (graphs[words].raw and tensor_name(text, "utf8") in graphs[words].inputs):
            continue
        for things, things_output in embedding.items():
            thing = graphs[things].source
            if not graphs[things].raw and thing != text:
                return Pair(words, words_output, text, things, things_output, thing)
    return None


def search_of(bundle: Bundle, dataset: Dataset, folder: Path, arrays: dict[str, Array]) -> dict[str, Any] | None:
    """Return the page's data of a search, and add its vectors to ``arrays``; None if the bundle has no search."""
    pair = pair_of(bundle.manifest.graphs)
    if pair is None:
        return None
    things = _things(bundle, dataset, pair)
    if not things:
        raise UsageError(
            f"data {bundle.recipe.data.name!r}: no sample has both {pair.thing!r} and {pair.text!r}, so the page has "
            "nothing to search; add some, or export without `layout`"
        )
    vectors = bundle.run(pair.things, {pair.thing: [thing.value for thing in things]})[pair.things_output]
    arrays[VECTORS] = np.ascontiguousarray(vectors)
    names = [(place, language, name) for place, thing in enumerate(things) for language, name in thing.names.items()]
    words = bundle.run(pair.words, {pair.text: [name for *_, name in names]})[pair.words_output]
    likeness = words @ vectors.T
    own = likeness[np.arange(len(names)), [place for place, *_ in names]]
    ranks = (likeness > own[:, None]).sum(axis=1)  # the number of things closer to a name than its own
    unseen = np.array([things[place].unseen for place, *_ in names])
    return {
        "graph": pair.words,
        "output": pair.words_output,
        "text": pair.text,
        "thing": pair.thing,
        "vectors": VECTORS,
        "shown": SHOWN,
        "languages": list(dict.fromkeys(language for _, language, _ in names)),
        "unseen_found": float(np.mean(ranks[unseen] < SHOWN)) if unseen.any() else None,
        "tried": list(_tried([name for name, rank in zip(names, ranks, strict=True) if rank == 0])),
        "tiles": write_tiles([thing.drawn for thing in things], folder / "search.png"),
        "things": [{"names": thing.names, "unseen": thing.unseen} for thing in things],
    }


def _things(bundle: Bundle, dataset: Dataset, pair: Pair) -> list[Thing]:
    """Return the things of a data set, each once: values that look the same are one thing with several names."""
    modality = bundle.modality(pair.thing)
    found: dict[bytes, Thing] = {}
    for sample, unseen in _samples(dataset):
        value, text = sample.inputs.get(pair.thing), sample.inputs.get(pair.text)
        if value is None or text is None:
            continue
        drawn = modality.draw(value)
        key = drawn.tobytes()
        if key not in found:
            if len(found) == _MOST_THINGS:
                break
            found[key] = Thing(value, drawn, unseen)
        found[key].names.setdefault(sample.labels.get("language", ""), text)
    return list(found.values())


def _samples(dataset: Dataset) -> Iterator[tuple[Sample, bool]]:
    """Yield the samples of every existing split, and whether training left them out."""
    for name in _SPLITS:
        try:
            samples = dataset.split(name)
        except NotFoundError:
            continue
        yield from ((sample, name != _SEEN_SPLIT) for sample in samples)


def _tried(found: Sequence[tuple[int, str, str]]) -> Iterator[dict[str, str]]:
    """Yield a few short names of each language that find their thing, spread over all things."""
    by_language: dict[str, list[str]] = {}
    for _, language, name in found:
        if len(name) <= _LONGEST_TRIED:
            by_language.setdefault(language, []).append(name)
    for language, names in by_language.items():
        step = -(-len(names) // _TRIED_PER_LANGUAGE)
        yield from ({"language": language, "text": name} for name in names[2 * step // 3 :: step])
