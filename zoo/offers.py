"""What modalities and exporters may also offer, beside what every ``Modality`` and ``Exporter`` has.

No torch: the runtime asks for what modalities offer, too. What likelihoods and objectives may offer stands in
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
    """What a modality may also offer: raw values as plain numbers, from which a front makes its tensors in a graph.

    A text is its bytes in UTF-8, the one tensor ``UTF8``: any caller makes that without the modality.
    """

    @property
    def raw_tensors(self) -> Mapping[str, TensorSpec]:
        """The tensors that the front reads, by name; none where these options have no front."""

    @property
    def raw_axes(self) -> Mapping[str, Axis]:
        """The free axes that occur in ``raw_tensors``, ``batch`` excepted."""

    def to_raw_arrays(self, values: Sequence[Any]) -> Mapping[str, Array]:
        """Turn raw values into ``raw_tensors``, one row a value; raises DataError as ``to_arrays`` does."""

    def from_raw_arrays(self, arrays: Mapping[str, Array]) -> Sequence[Any]:
        """Turn them back into raw values, for which ``to_arrays`` says what the front must make of them."""

    def raw_example(
        self, batch: int, sizes: Mapping[str, int], *, generator: np.random.Generator
    ) -> Mapping[str, Array]:
        """Draw raw arrays that are hard to read, with the free axes at ``sizes``."""


@runtime_checkable
class WritesFiles(Protocol):
    """What a modality may also offer: its values as files that other programs open, beside pictures of them."""

    suffix: str

    def write(self, value: Any, path: Path) -> None:
        """Write a raw value to ``path``, which ends in ``suffix``."""


@runtime_checkable
class ReadsFiles(Protocol):
    """What a modality may also offer: a value may be the path of a file, which is known by the end of its name."""

    @property
    def file_suffixes(self) -> frozenset[str]:
        """The ends of names, in small letters and with their dot: ``.png``."""


@runtime_checkable
class Truncates(Protocol):
    """What a modality may also offer: it tells which values are longer than what it reads of them."""

    def truncated(self, values: Sequence[Any], arrays: Mapping[str, Array]) -> Sequence[int]:
        """Return the places, from 0 and in order, of the values whose end ``to_arrays`` left out.

        ``arrays`` are what ``to_arrays`` made of ``values``: a row that is not full needs no second look.
        """


def truncated_rows(modality: Modality, values: Sequence[Any], arrays: Mapping[str, Array]) -> list[int]:
    """Return the places of the values that a modality read only the beginning of; none if it cuts nothing.

    ``arrays`` are what its ``to_arrays`` made of ``values``.
    """
    return list(modality.truncated(values, arrays)) if isinstance(modality, Truncates) else []


@runtime_checkable
class TellsLimits(Protocol):
    """What a modality may also offer: which of its options make it leave out what values hold.

    ``length_option`` says how much is read of a value, ``vocabulary_option`` how many tokens are known; an empty name
    stands for none. Both are fields of the modality.
    """

    length_option: ClassVar[str]
    vocabulary_option: ClassVar[str]

    def unknown(self, arrays: Mapping[str, Array]) -> tuple[int, int]:
        """Return how many tokens of ``arrays``, which ``to_arrays`` made, stand for unknown ones, and of how many."""


@runtime_checkable
class SharesWeights(Protocol):
    """What an exporter may also offer: files without weights, which read those of a safetensors file beside them."""

    def link(self, path: Path, weights: Path, names: Mapping[str, str]) -> None:
        """Have a file that ``write`` left, or that was linked before, read its weights from ``weights``.

        ``names`` tells, for each name in the graph's ``module.state_dict()``, the name in ``weights``, which is always
        the same for one model. Raises ZooError where a tensor does not fit.
        """


@runtime_checkable
class FindsFault(Protocol):
    """What an exporter may also offer: it tells where a file departs from torch."""

    def first_fault(self, graph: Graph, path: Path, inputs: Mapping[str, Array]) -> str:
        """Return a sentence on the first value in the file that differs from torch's, and what makes it."""


@runtime_checkable
class Reduces(Protocol):
    """What an exporter may also offer: files of fewer bits than float32."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """Their names, of those in ``zoo.PRECISIONS``: each has a tolerance, which the core judges the files by."""

    def reduce(self, path: Path, target: Path, precision: str, calibration: Sequence[Mapping[str, Array]]) -> None:
        """Write the graph in ``path`` to ``target``, a file that needs no other, at one of the precisions.

        ``calibration`` are inputs of the graph as they come in use. Raises UsageError where it cannot be reduced.
        """


@runtime_checkable
class Stamps(Protocol):
    """What an exporter may also offer: its files say what they are and where they come from."""

    def stamp(self, path: Path, facts: Mapping[str, str]) -> None:
        """Write the facts into a file, in place of earlier ones."""
