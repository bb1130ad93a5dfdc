"""The contracts that need no torch: kinds of data, data sets, deployable functions, exporters.

The contracts that are torch modules are in ``zoo/modules.py``, so that the runtime can use these without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import nn

    Array = NDArray[Any]

NormalForm = Literal["NFC", "NFKC"]
DType = Literal["float32", "float64", "int64", "uint8", "bool"]


@dataclass(frozen=True)
class Axis:
    """A free axis: the sizes that it may have.

    ``padded`` says that padding changes nothing: positions past a row's own end are zero and masked, and no answer
    depends on their number.
    """

    smallest: int
    largest: int
    padded: bool = False


@dataclass(frozen=True)
class TensorSpec:
    """One named tensor: its dtype, its axes (a name is free, a number is fixed) and the range of its values.

    The first axis is always ``"batch"``. The range is inclusive. The parity contract draws values at its ends without
    knowing the modality. ``logarithm`` says that the numbers come from a logarithm. Parity then counts the size of a
    row as at least one, since a logarithm near zero is no more exact than one near one. A tensor ``utf8`` names the
    Unicode normal form of its texts: ``NFC`` gives texts that look the same the same bytes; ``NFKC`` also replaces wide
    letters, ligatures and the like with plain letters.
    """

    dtype: DType
    axes: tuple[str | int, ...]
    low: float = float("-inf")
    high: float = float("inf")
    logarithm: bool = False
    normal_form: NormalForm = "NFC"


@runtime_checkable
class Modality(Protocol):
    """A kind of data: how raw values become named tensors and back.

    An instance holds one input's options as frozen fields. The module that defines it imports NumPy, never torch: the
    runtime calls the same ``to_arrays`` as training did. Values that vary in size are padded with zeros and masked.
    """

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The tensors that an encoder reads, by name."""

    @property
    def axes(self) -> Mapping[str, Axis]:
        """The free axes that occur in ``tensors``, except ``batch``."""

    def fit(self, values: Iterable[Any]) -> Self:
        """Return a copy that has learnt from raw training values what it needs, such as a vocabulary."""

    def state(self) -> Mapping[str, Array]:
        """Return what ``fit`` learnt, as arrays (text as UTF-8 bytes)."""

    def with_state(self, state: Mapping[str, Array]) -> Self:
        """Return a copy with what an earlier ``fit`` learnt."""

    def to_arrays(self, values: Sequence[Any]) -> Mapping[str, Array]:
        """Turn raw values into arrays, one row per value.

        Raises DataError, naming the position of the value, if a value cannot be read.
        """

    def from_arrays(self, arrays: Mapping[str, Array]) -> Sequence[Any]:
        """Turn the result of a decoder's ``mode``, or of ``to_arrays``, into values that a person can read."""

    def example(self, batch: int, sizes: Mapping[str, int], *, generator: np.random.Generator) -> Mapping[str, Array]:
        """Draw valid arrays of ``batch`` rows with the free axes at ``sizes``."""

    def draw(self, value: Any) -> Image:
        """Return a picture of one raw value."""


@dataclass(frozen=True)
class Sample:
    """One row of a data set: raw values by input name. A missing value is None.

    Give a file as a ``pathlib.Path``. The zoo then reports all missing files together, before it reads any.
    """

    key: str
    inputs: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        there = [name for name, value in self.inputs.items() if value is not None]
        labels = "".join(f"; {name} {value}" for name, value in self.labels.items())
        return f"<sample {self.key!r}: {', '.join(there) or 'no input'}{labels}>"


@runtime_checkable
class Dataset(Protocol):
    """Paired raw values. The options of a recipe's ``[data]`` table are the fields of an instance."""

    license: str

    @property
    def inputs(self) -> Mapping[str, str]:
        """The modality of each input, by name."""

    def split(self, name: str) -> Sequence[Sample]:
        """Return the samples of ``train``, ``validation`` or ``test``, always in the same order."""


@dataclass(frozen=True, eq=False)
class Graph:
    """One deployable function of a model.

    ``module`` takes a mapping of tensors named as in ``inputs`` and returns a mapping named as in ``outputs``. The name
    of each free axis except ``batch`` begins with the input's name (``caption.length``). ``draw`` makes valid inputs of
    any size. ``parity_ulps`` is how far a row may lie from the float64 result, in units of 2**-23 of the row's largest
    value. The float64 result is that of ``reference`` if there is one, otherwise that of ``module``.

    ``stages`` are smaller graphs that, run one after another, compute the same as this graph; empty if there are none.
    An exporter may translate a stage once and use it in every graph that contains it. Graphs are equal only to
    themselves.

    ``kind`` is what the graph does: ``encode``, ``decode``, ``reconstruct``, ``translate``, ``embed``, or a word of the
    objective's own. ``source`` is the input that the graph reads; it is empty if the graph reads a latent or all
    inputs. ``target`` is the input whose values the graph makes; it is empty if it makes none. ``raw`` says that it
    reads raw values. The name is for people and files; no code takes it apart.
    """

    name: str
    module: nn.Module
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    axes: Mapping[str, Axis]
    draw: DrawInputs
    parity_ulps: int = 16
    parity_reason: str = ""
    reference: Reference | None = None
    stages: tuple[Stage, ...] = ()
    kind: str = ""
    source: str = ""
    target: str = ""
    raw: bool = False

    def __repr__(self) -> str:
        return f"<graph {self.name!r}: {', '.join(self.inputs)} → {', '.join(self.outputs)}>"


@dataclass(frozen=True)
class Stage:
    """A graph that runs as a part of another graph, on inputs of the whole or on outputs of earlier stages.

    ``place`` is the path of its module inside the module of the whole (``encode``). ``names`` maps the names of its
    inputs and outputs to their names in the whole, if these differ.
    """

    graph: Graph
    place: str
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """What a graph that reads raw values must compute: ``module``, on the arrays that the modalities return.

    ``raw`` names the raw inputs; no single number of them may be changed alone. ``spelt`` yields raw inputs together
    with the name of a tensor. These inputs together contain every whole number that the tensor may hold, such as every
    word.
    """

    module: nn.Module
    arrays: Callable[[Mapping[str, Array]], Mapping[str, Array]]
    raw: frozenset[str]
    spelt: Callable[[np.random.Generator], Iterable[tuple[str, Mapping[str, Array]]]]

    def __repr__(self) -> str:
        return f"<reference for raw {', '.join(sorted(self.raw))}>"


class DrawInputs(Protocol):
    """Draws the inputs of a graph: ``batch`` rows with the free axes at ``sizes``."""

    def __call__(self, batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> Mapping[str, Array]:
        """Return the arrays by tensor name."""


@runtime_checkable
class Exporter(Protocol):
    """Writes a graph to a file and runs that file back. Parity is judged by the core, never by the exporter."""

    suffix: str

    def write(self, graph: Graph, path: Path) -> None:
        """Write ``graph`` to ``path``; the same model gives the same bytes each time."""

    def open(self, graph: Graph, path: Path) -> RunsArrays:
        """Load the file that ``write`` left for ``graph``, ready to run many times.

        When a bundle is opened, ``graph`` has only names, tensors and axes: its module is None. The files are then
        copies side by side, which are deleted once this returns.
        """

    def versions(self) -> Mapping[str, str]:
        """Return the versions of the tools that write and run the files, by distribution."""


@runtime_checkable
class Layout(Protocol):
    """Adds files to a finished bundle, such as a page that serves it. The core records their hashes in the manifest."""

    def write(self, folder: Path, dataset: Dataset) -> None:
        """Add files to the bundle in ``folder``, which ``zoo.open_bundle`` opens; ``dataset`` is its recipe's.

        Write no subfolders and leave existing files unchanged. The same bundle gives the same bytes.
        """


@dataclass(frozen=True)
class Imported:
    """A pretrained model as an importer read it.

    ``recipe`` holds the tables of a recipe, as a TOML file has them. ``states`` holds, by input, what ``with_state`` of
    its modality takes. ``weights`` holds each parameter and each buffer of the recipe's objective, by the name that it
    has in ``state_dict``. ``notes`` are sentences on what the model loses by the import.
    """

    recipe: Mapping[str, Any]
    states: Mapping[str, Mapping[str, Array]]
    weights: Mapping[str, Array]
    notes: tuple[str, ...] = ()


@runtime_checkable
class Importer(Protocol):
    """Reads folders of pretrained models that other programs wrote. Nothing in such a folder is executed."""

    def recognises(self, folder: Path) -> bool:
        """Return whether the folder has the form that this importer reads, judged by the names of its files."""

    def read(self, folder: Path) -> Imported:
        """Return the model in the folder.

        Raises DataError, naming the file, if the folder is incomplete, if its files disagree, or if the model is of a
        kind that cannot be imported.
        """


class RunsArrays(Protocol):
    """A loaded graph."""

    def __call__(self, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run on arrays named and shaped as the graph's inputs; return its outputs by name."""


class Progress(Protocol):
    """Shows how far a long task is."""

    def __call__(self, done: int, total: int, text: str) -> None:
        """Show ``done`` of ``total`` and a note."""
