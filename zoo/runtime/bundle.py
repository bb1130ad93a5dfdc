"""Opens a bundle: reads the manifest, compares every file with it, and loads graphs when they are first used."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from zoo.errors import IntegrityError, UnknownNameError, UsageError
from zoo.files.bound import BoundFiles
from zoo.parity.precisions import FULL
from zoo.protocols import Graph, Modality
from zoo.recipes.arguments import checked
from zoo.recipes.naming import GraphFacts
from zoo.runtime.batching import BATCH_ROWS, by_shape, in_batches, in_order
from zoo.runtime.contents import ONNX, Contents
from zoo.runtime.forking import of_this_process
from zoo.runtime.loading import check_serving
from zoo.runtime.manifest import Manifest
from zoo.runtime.records import GraphRecord, JudgedFile
from zoo.runtime.session import Session, open_session
from zoo.runtime.values import Prepared, Preparing, check_counts, decoded_values

# Readers of specs and plugins are imported only when needed, since running a graph on arrays needs neither.
if TYPE_CHECKING:
    import numpy as np

    from zoo.protocols import Array
    from zoo.recipes.spec import Recipe

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bundle:
    """A model without torch: graphs by name, and the modalities that turn raw values into arrays.

    Any number of threads may use it. A forked process, and one that it is pickled to, loads the graphs anew; both
    refuse a folder that was replaced meanwhile.
    """

    folder: Path
    contents: Contents = field(repr=False)
    provider: str = "cpu"
    threads: int = 1
    fixed_shapes: bool = False
    keeps: bool = True
    precision: str = FULL
    _sessions: dict[tuple[int, str], Session] = field(default_factory=dict, repr=False)
    _modalities: dict[str, Modality] = field(default_factory=dict, repr=False)
    _told: set[tuple[str, str]] = field(default_factory=set, repr=False)

    def __repr__(self) -> str:
        graphs, others = ", ".join(self.graphs), ", ".join(self.precisions[1:])
        at = f"{self.precision} on {self.provider}{f' (also {others})' if others else ''}"
        what = f"{self.manifest.origin.name!r}, graphs: {graphs}; {at}"
        return f"<bundle {str(self.folder)!r}: {what}>"

    def __reduce__(self) -> tuple[Callable[..., Bundle], tuple[Any, ...]]:
        settings = (self.provider, self.threads, self.fixed_shapes, self.keeps, self.precision)
        return _opened_again, (str(self.contents.files.folder), self.manifest.sha256, settings)

    @property
    def manifest(self) -> Manifest:
        """The manifest of the bundle, its description of itself."""
        return self.contents.manifest

    @property
    def graphs(self) -> tuple[str, ...]:
        """The names of the graphs."""
        return tuple(self.manifest.graphs)

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions that all graphs have, float32 first."""
        return (FULL, *(name for name in self.manifest.precisions if name != FULL))

    def graph(self, name: str) -> Session:
        """Return a graph, loaded on first use.

        Raises UnknownNameError with the nearest name.
        """
        self.described(name)
        key = os.getpid(), name
        if key not in self._sessions:
            self._sessions[key] = self._opened(name)
        return self._sessions[key]

    def described(self, name: str) -> GraphRecord:
        """Return the manifest's record of a graph, without loading it.

        Raises UnknownNameError with the nearest name.
        """
        if not isinstance(name, str) or name not in self.manifest.graphs:
            raise UnknownNameError("graph", name, self.graphs, hint="The bundle's README.md describes them.")
        return self.manifest.graphs[name]

    def chosen(self, name: str) -> JudgedFile:
        """Return the file of a graph in the bundle's precision, and how it was judged."""
        return self.described(name).files[self.precision]

    def _opened(self, name: str) -> Session:
        described, file = self.described(name), self.chosen(name).file
        inputs, outputs, axes = described.inputs, described.outputs, described.axes
        if file.endswith(ONNX):
            with self.contents.placed(file) as (path, identity):
                return open_session(
                    path,
                    name,
                    inputs,
                    axes,
                    tuple(outputs),
                    provider=self.provider,
                    threads=self.threads,
                    fixed_shapes=self.fixed_shapes,
                    identity=identity if self.keeps else "",
                )
        exporter_name = self.manifest.exporter
        if self.provider != "cpu":
            raise UsageError(f"{file} is run by the exporter {exporter_name!r}, which takes no `provider`")
        from zoo.discovery.components import make_exporter
        from zoo.discovery.plugins import installed

        exporter = make_exporter(exporter_name, installed())
        with self.contents.placed(file) as (path, _):
            facts = GraphFacts(described.kind, described.source, described.target, described.raw)
            graph = Graph(name, cast(Any, None), inputs, outputs, axes, _draws_nothing, **asdict(facts))
            compute = exporter.open(graph, path)
        return Session(name, inputs, axes, tuple(outputs), of_this_process(name, compute))

    @checked
    def modality(self, name: str) -> Modality:
        """Return the modality of an input as it was fitted; only its plugin must be installed."""
        if name not in self._modalities:
            self._modalities[name] = self.contents.modality(name)
        return self._modalities[name]

    @checked
    def values(self, outputs: Mapping[str, Array]) -> list[Any]:
        """Return a decoder's outputs as values for a person, one per row: texts, pictures, numbers in their units.

        ``outputs`` are those of a graph that makes values of an input: one of the kinds ``decode``, ``reconstruct`` and
        ``translate``. Outputs of other graphs are not values. Raises UnknownNameError if the plugin of the
        modality is not installed, DataError if the numbers are not enough for a value.
        """
        name = self.decoded_input(outputs)
        return decoded_values(outputs, self.modality(name)) if name else []

    def decoded_input(self, outputs: Iterable[str]) -> str:
        """Return the input whose values the named outputs hold, empty if they hold values of none."""
        names = set(outputs)
        return next((graph.target for graph in self.manifest.graphs.values() if names & graph.outputs.keys()), "")

    def known_modality(self, name: str) -> Modality | None:
        """Return the modality of an input, None if no installed plugin has it."""
        try:
            return self.modality(name)
        except UnknownNameError:
            return None

    @property
    def recipe(self) -> Recipe:
        """The recipe that the model was trained with."""
        return self.contents.recipe()

    def run(self, graph: str, values: Mapping[str, Sequence[Any]], *, batch_rows: int = BATCH_ROWS) -> dict[str, Array]:
        """Run a graph on raw values: texts, pictures, or arrays for inputs that have no modality, such as ``latent``.

        Values are given by input (``caption``), all lists of one length; arrays also by tensor (``picture.pixels``). If
        a graph has inputs that say which rows are present, an input may be left out, and a value may be None. At most
        ``batch_rows`` rows run at a time; rows of similar length run together, arrays of different shapes separately.
        """
        check_counts(self.graph(graph), values)
        groups = by_shape({name: given for name, given in values.items() if isinstance(given, list | tuple)})
        if len(groups) < 2:
            return self.run_arrays(graph, self.arrays(graph, values), batch_rows=batch_rows)

        def answers() -> Iterator[tuple[list[int], Mapping[str, Array]]]:
            for places in groups:
                rows = {name: [given[place] for place in places] for name, given in values.items()}
                yield places, self.run_arrays(graph, self.arrays(graph, rows), batch_rows=batch_rows)

        return in_order(answers(), sum(map(len, groups)))

    def run_arrays(self, graph: str, arrays: Mapping[str, Array], *, batch_rows: int = BATCH_ROWS) -> dict[str, Array]:
        """Run a graph, in batches, on the result of ``arrays``."""
        outputs = self.described(graph).outputs.values()
        fixed = all(isinstance(axis, int) for spec in outputs for axis in spec.axes[1:])
        return in_batches(self.graph(graph), arrays, rows=batch_rows, trims=fixed)

    def arrays(self, graph: str, values: Mapping[str, Sequence[Any]]) -> dict[str, Array]:
        """Return the arrays that a graph takes, by tensor, for raw values by input; truncation is logged once.

        Raises UsageError if a name or the number of values is wrong, DataError if a value cannot be read.
        """
        prepared = self.prepared(graph, values)
        for name, rows in prepared.truncated.items():
            if (graph, name) not in self._told:
                self._told.add((graph, name))
                _log.warning(
                    "%s: %d of %d values of %r are truncated, since the graph reads only their beginning; "
                    "Bundle.truncated returns which rows; this is logged once",
                    graph,
                    len(rows),
                    len(values[name]),
                    name,
                )
        return prepared.arrays

    def truncated(self, graph: str, values: Mapping[str, Sequence[Any]]) -> dict[str, list[int]]:
        """Return, by input, the rows with truncated values, counted from 0.

        If a graph reads the bytes of texts, texts with too many tokens are included only if the modality's plugin is
        installed. Raises as ``arrays`` does.
        """
        return self.prepared(graph, values).truncated

    def prepared(self, graph: str, values: Mapping[str, Sequence[Any]]) -> Prepared:
        """Return the results of ``arrays`` and ``truncated`` together; raises as ``arrays`` does."""
        return Preparing(self.graph(graph), self.modality, self.known_modality)(values)


def _draws_nothing(batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> Mapping[str, Array]:
    raise UsageError("a graph that was opened from a bundle draws no inputs")


@checked
def open_bundle(
    folder: str | os.PathLike[str],
    *,
    provider: str = "cpu",
    threads: int = 1,
    fixed_shapes: bool = False,
    keeps: bool = True,
    precision: str = FULL,
) -> Bundle:
    """Open the bundle in ``folder`` after comparing every file with its manifest.

    With ``fixed_shapes`` inputs and outputs keep their place in memory for each shape, and CUDA replays its recording
    of the first run. Graphs are kept in the cache as onnxruntime optimised them, so that the next opening is faster,
    unless ``keeps`` is false. ``precision`` chooses among the files that were exported for a graph.

    Files that are read later are compared again: if the folder was replaced meanwhile, it is refused, and never mixed
    with the part that was read before.

    Raises NotFoundError if the folder is not a bundle, IntegrityError if a file is missing, changed or elsewhere,
    UsageError if a newer modalzoo wrote it, it lacks the precision, or there is no such provider.
    """
    check_serving(provider, threads)
    folder = Path(folder)
    manifest = Manifest.read(folder)
    contents = Contents(manifest, BoundFiles(folder.absolute(), manifest.files))
    bundle = Bundle(folder, contents, provider, threads, fixed_shapes, keeps, precision)
    if precision not in bundle.precisions:
        raise UsageError(
            f"{folder} has no precision {precision!r}; it has {', '.join(bundle.precisions)}; "
            f"`zoo export --precision {precision}` adds one"
        )
    return bundle


def _opened_again(folder: str, sha256: str, settings: tuple[str, int, bool, bool, str]) -> Bundle:
    """Return the bundle that another process pickled."""
    provider, threads, fixed_shapes, keeps, precision = settings
    bundle = open_bundle(
        folder, provider=provider, threads=threads, fixed_shapes=fixed_shapes, keeps=keeps, precision=precision
    )
    if bundle.manifest.sha256 != sha256:
        raise IntegrityError(
            f"{folder} was replaced by another bundle after it was opened in the process that sent it; open it again "
            "there, and send that one"
        )
    return bundle
