"""What modalities and exporters may offer beyond what every ``Modality`` and ``Exporter`` has.

No torch: the runtime also asks what modalities offer. What likelihoods and objectives may offer is in
``zoo/modules.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from zoo.protocols import Axis, Graph, Modality, TensorSpec

if TYPE_CHECKING:
    import numpy as np

    from zoo.protocols import Array


@runtime_checkable
class TakesRaw(Protocol):
    """What a modality may also offer: raw values as plain numbers, so that a graph can read them.

    A *front* is a torch module that turns these numbers into the modality's tensors inside the graph. A text is given
    as its UTF-8 bytes, in the one tensor ``UTF8``: any caller can make that without the modality.
    """

    @property
    def raw_tensors(self) -> Mapping[str, TensorSpec]:
        """The tensors that the front reads, by name; empty if these options have no front."""

    @property
    def raw_axes(self) -> Mapping[str, Axis]:
        """The free axes that occur in ``raw_tensors``, except ``batch``."""

    def to_raw_arrays(self, values: Sequence[Any]) -> Mapping[str, Array]:
        """Turn raw values into ``raw_tensors``, one row per value; raises DataError as ``to_arrays`` does."""

    def from_raw_arrays(self, arrays: Mapping[str, Array]) -> Sequence[Any]:
        """Turn the raw arrays back into raw values; ``to_arrays`` of these values is what the front must compute."""

    def raw_example(
        self, batch: int, sizes: Mapping[str, int], *, generator: np.random.Generator
    ) -> Mapping[str, Array]:
        """Draw raw arrays that are hard to read, with the free axes at ``sizes``."""


@runtime_checkable
class WritesFiles(Protocol):
    """What a modality may also offer: files of its values that other programs can open, besides pictures of them."""

    suffix: str

    def write(self, value: Any, path: Path) -> None:
        """Write a raw value to ``path``, which ends in ``suffix``."""


@runtime_checkable
class ReadsFiles(Protocol):
    """What a modality may also offer: a value may be the path of a file, recognised by its suffix."""

    @property
    def file_suffixes(self) -> frozenset[str]:
        """The suffixes, in small letters and with their dot: ``.png``."""


@runtime_checkable
class Truncates(Protocol):
    """What a modality may also offer: it reports which values it truncates."""

    def truncated(self, values: Sequence[Any], arrays: Mapping[str, Array]) -> Sequence[int]:
        """Return the positions of the truncated values, counted from 0 and in order.

        ``arrays`` are the result of ``to_arrays`` for ``values``. A row that is not full cannot be a truncated value.
        """


def truncated_rows(modality: Modality, values: Sequence[Any], arrays: Mapping[str, Array]) -> list[int]:
    """Return the positions of the values that a modality truncated; an empty list if it truncates none.

    ``arrays`` are the result of its ``to_arrays`` for ``values``.
    """
    return list(modality.truncated(values, arrays)) if isinstance(modality, Truncates) else []


@runtime_checkable
class TellsLimits(Protocol):
    """What a modality may also offer: the names of the options that limit how much of a value it keeps.

    ``length_option`` limits how much of a value is read, ``vocabulary_option`` how many tokens are known. An empty name
    means that there is no such option. Both name fields of the modality.
    """

    length_option: ClassVar[str]
    vocabulary_option: ClassVar[str]

    def unknown(self, arrays: Mapping[str, Array]) -> tuple[int, int]:
        """Return the number of unknown tokens in ``arrays``, made by ``to_arrays``, and the number of all tokens."""


@runtime_checkable
class NamesTokens(Protocol):
    """What a modality may also offer: the word of each token, so that weights of another vocabulary are taken by word.

    A tensor of the input's encoder or decoder with one row per token belongs to these words.
    """

    @property
    def tokens(self) -> Sequence[str]:
        """The word or piece of each id, in order; empty for the first ids, which stand for no word, as padding does."""


@runtime_checkable
class SharesWeights(Protocol):
    """What an exporter may also offer: files that read their weights from a safetensors file beside them."""

    def link(self, path: Path, weights: Path, names: Mapping[str, str]) -> None:
        """Let a file that ``write`` made, or that was linked before, read its weights from the file ``weights``.

        ``names`` maps each name in the graph's ``module.state_dict()`` to its name in ``weights``. For one model this
        mapping never changes. Raises ZooError if a tensor does not fit.
        """


@runtime_checkable
class FindsFault(Protocol):
    """What an exporter may also offer: it locates the first difference between a file and torch."""

    def first_fault(self, graph: Graph, path: Path, inputs: Mapping[str, Array]) -> str:
        """Return a sentence on the first value in the file that differs from torch's, and its operation."""


@runtime_checkable
class Reduces(Protocol):
    """What an exporter may also offer: files with fewer bits per number than float32."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions that it can write, by their names in ``zoo.PRECISIONS``, which also holds their tolerances."""

    def reduce(self, path: Path, target: Path, precision: str, calibration: Sequence[Mapping[str, Array]]) -> None:
        """Write the graph in ``path`` to the self-contained file ``target``, at the named precision.

        ``calibration`` holds realistic inputs of the graph. Raises UsageError if the graph cannot be reduced.
        """


@runtime_checkable
class Stamps(Protocol):
    """What an exporter may also offer: its files record what they are and where they come from."""

    def stamp(self, path: Path, facts: Mapping[str, str]) -> None:
        """Write the facts into a file, replacing earlier ones."""
