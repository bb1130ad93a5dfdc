"""The contracts that need no torch: kinds of data, data sets, deployable functions, exporters.

The contracts that are torch modules stand in ``zoo/modules.py``, so that the runtime can use these without torch.
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

    ``padded`` says that longer is the same: positions past a row's own end are zero and masked, and no answer depends
    on how many of them there are.
    """

    smallest: int
    largest: int
    padded: bool = False


@dataclass(frozen=True)
class TensorSpec:
    """One named tensor: its dtype, its axes (a name is free, a number is fixed) and the range of its values.

    The first axis is always ``"batch"``. The range is inclusive; it lets the parity contract draw corners without
    knowing the modality. ``logarithm`` says that the numbers are made by a logarithm: near zero they are as exact as
    near one, and parity is judged so. A tensor ``utf8`` names the normal form of Unicode that its texts are in:
    ``NFC``, in which what looks the same is the same, or ``NFKC``, in which wide letters, ligatures and the like are
    plain ones, too.
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
    runtime calls the same ``to_arrays`` as training did. What varies in size is padded with zeros and masked.
    """

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The tensors that an encoder reads, by name."""

    @property
    def axes(self) -> Mapping[str, Axis]:
        """The free axes that occur in ``tensors``, ``batch`` excepted."""

    def fit(self, values: Iterable[Any]) -> Self:
        """Return a copy that has learnt what it needs from raw training values, such as a vocabulary."""

    def state(self) -> Mapping[str, Array]:
        """Return what ``fit`` learnt, as arrays (text as UTF-8 bytes)."""

    def with_state(self, state: Mapping[str, Array]) -> Self:
        """Return a copy with what an earlier ``fit`` learnt."""

    def to_arrays(self, values: Sequence[Any]) -> Mapping[str, Array]:
        """Turn raw values into arrays, one row a value.

        Raises DataError, naming the position of the value, where one cannot be read.
        """

    def from_arrays(self, arrays: Mapping[str, Array]) -> Sequence[Any]:
        """Turn what a decoder's ``mode`` returns, or what ``to_arrays`` returned, into values for a person."""

    def example(self, batch: int, sizes: Mapping[str, int], *, generator: np.random.Generator) -> Mapping[str, Array]:
        """Draw valid arrays of ``batch`` rows with the free axes at ``sizes``."""

    def draw(self, value: Any) -> Image:
        """Return a picture of one raw value."""


@dataclass(frozen=True)
class Sample:
    """One row of a data set: raw values by input name, any of which may be missing (None).

    A file is a ``pathlib.Path``: those that are not there are then named together, before any is read.
    """

    key: str
    inputs: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)


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

    ``module`` takes a mapping of tensors named as in ``inputs`` and returns a mapping named as in ``outputs``. Free
    axes but ``batch`` bear the input's name as a prefix (``caption.length``). ``draw`` makes valid inputs of any size.
    ``parity_ulps`` is how far a row may lie from float64, in units of 2**-23 of the row's largest value. The float64 is
    that of ``module`` itself, or of ``reference`` where there is one.

    ``stages`` compute the same one after the other, where the function is made of others: an exporter may translate
    each once for all graphs that it is a stage of. Graphs are equal only to themselves.

    ``kind`` is what it does: ``encode``, ``decode``, ``reconstruct``, ``translate``, ``embed``, or a word of the
    objective's own. ``source`` is the input that it reads, empty where it reads a latent or all inputs; ``target`` the
    input whose values it makes, empty where it makes none. ``raw`` says that it reads raw values. The name is for
    people and files; nothing is read from it.
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


@dataclass(frozen=True)
class Stage:
    """A graph that another runs in the course of its own, on inputs of the whole or outputs of earlier stages.

    ``place`` is where its module stands in that of the whole (``encode``). ``names`` are what the whole calls its
    inputs and outputs, where that is not their own name.
    """

    graph: Graph
    place: str
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """What a graph that reads raw values must compute: ``module`` on the arrays that the modalities make of them.

    ``raw`` names the inputs that are raw; no number of them may be changed by itself. ``spelt`` yields inputs whose raw
    values together stand for every whole number that a tensor may hold, such as every word, with that tensor's name.
    """

    module: nn.Module
    arrays: Callable[[Mapping[str, Array]], Mapping[str, Array]]
    raw: frozenset[str]
    spelt: Callable[[np.random.Generator], Iterable[tuple[str, Mapping[str, Array]]]]


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

        Where a bundle is opened, ``graph`` has the names, tensors and axes alone: its module is None. The files are
        then copies beside each other, which are gone once this returns.
        """

    def versions(self) -> Mapping[str, str]:
        """Return the versions of the tools that write and run the files, by distribution."""


@runtime_checkable
class Layout(Protocol):
    """Adds files to a finished bundle, such as a page that serves it. The core binds them in the manifest."""

    def write(self, folder: Path, dataset: Dataset) -> None:
        """Add files to the bundle in ``folder``, which ``zoo.open_bundle`` opens; ``dataset`` is its recipe's.

        The files stand in no folders of their own, and what is there stays as it is. The same bundle gives the same
        bytes.
        """


class RunsArrays(Protocol):
    """A loaded graph."""

    def __call__(self, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run on arrays named and shaped as the graph's inputs; return its outputs by name."""


class Progress(Protocol):
    """Shows how far a long task is."""

    def __call__(self, done: int, total: int, text: str) -> None:
        """Show ``done`` of ``total`` and a note."""
