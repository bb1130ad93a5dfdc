"""Turns raw values by input into the arrays that a graph takes, and records which values were truncated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, UsageError
from zoo.protocols import Modality, TensorSpec
from zoo.reading.lists import listed
from zoo.recipes.naming import PRESENT, UTF8, by_leaf, inputs_of, of_owner, presences, tensor_name, with_owner
from zoo.runtime.session import Session

# Modules for raw values are imported only when needed, since running a graph on arrays does not need them.
if TYPE_CHECKING:
    from zoo.protocols import Array

Rows = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Prepared:
    """The arrays that a graph takes, by tensor, and by input the rows, from 0, whose values were truncated."""

    arrays: dict[str, Array]
    truncated: dict[str, list[int]]

    def __repr__(self) -> str:
        arrays = ", ".join(f"{name} {tuple(array.shape)}" for name, array in self.arrays.items())
        cut = "".join(f"; {name} truncated in {len(rows)} rows" for name, rows in self.truncated.items())
        return f"<prepared: {arrays or 'nothing'}{cut}>"


@dataclass(frozen=True)
class Preparing:
    """Prepares raw values for a graph.

    ``modality`` returns the modality of an input; ``known`` does too, or returns None if its plugin is not installed.
    """

    session: Session
    modality: Callable[[str], Modality]
    known: Callable[[str], Modality | None]

    def __call__(self, values: Rows) -> Prepared:
        """Return the arrays that the graph takes.

        Raises UsageError if a name or the number of values is wrong, DataError if a value cannot be read.
        """
        check_counts(self.session, values)
        inputs = self.session.inputs
        arrays: dict[str, Array] = {}
        truncated: dict[str, list[int]] = {}
        for name, given in values.items():
            if name in inputs:
                arrays[name] = as_array(given, inputs[name], name)
            elif of_owner(name, inputs):
                made, cut = self._made(name, given)
                arrays |= made
                truncated |= {name: cut} if cut else {}
            else:
                known = sorted(inputs_of(inputs))
                raise UsageError(f"the graph {self.session.name!r} has no input {name!r}; it takes {', '.join(known)}")
        for name, present in presences(inputs).items():
            if present not in arrays:
                arrays |= self._presence(name, arrays)
        return Prepared(arrays, truncated)

    def _presence(self, name: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Return which rows have an input: all if its tensors are given, otherwise none, with zeros for its tensors."""
        if not arrays:
            raise UsageError("give at least one input; got none")
        import numpy as np

        rows = len(next(iter(arrays.values())))
        if of_owner(name, arrays):
            return {tensor_name(name, PRESENT): np.ones(rows, bool)}
        made, _ = self._made(name, [None] * rows)
        return made

    def _made(self, name: str, given: Sequence[Any]) -> tuple[dict[str, Array], list[int]]:
        """Return the arrays of one input, and the truncated rows.

        If the graph has a tensor that says which rows are present, a value None becomes a row of zeros.
        """
        import numpy as np

        from zoo.runtime.gaps import with_gaps

        present = tensor_name(name, PRESENT)
        gaps = present in self.session.inputs
        there = np.array([not gaps or value is not None for value in given])
        values = given if there.all() else [value for value, is_there in zip(given, there, strict=True) if is_there]
        made, cut = self._read(name, values)
        rows = np.flatnonzero(there)[cut].tolist()
        if not gaps:
            return with_owner(name, made), rows
        arrays = with_owner(name, {leaf: with_gaps(array, there) for leaf, array in made.items()})
        return {**arrays, present: there}, rows

    def _read(self, name: str, values: Sequence[Any]) -> tuple[Mapping[str, Array], list[int]]:
        """Return the tensors of values, none of them missing, and the positions of the truncated ones.

        A graph that takes the UTF-8 of texts needs no modality. If the modality is installed, it also reports texts
        whose last tokens are left out.
        """
        from zoo.offers import truncated_rows
        from zoo.runtime.utf8 import as_utf8, longer

        if raw := self.session.inputs.get(tensor_name(name, UTF8)):
            most_bytes = self.session.axes[str(raw.axes[1])].largest
            made = {UTF8: as_utf8(values, most_bytes, raw.normal_form)}
            modality = self.known(name) if len(values) else None
            cut = truncated_rows(modality, values, modality.to_arrays(values)) if modality else []
            return made, sorted({*cut, *longer(values, most_bytes, raw.normal_form)})
        if not len(values):
            return self._no_rows(name), []
        modality = self.modality(name)
        try:
            arrays = modality.to_arrays(values)
        except MemoryError as error:
            raise DataError(
                f"the values of {name!r} take more memory than there is ({error}); give fewer at a time, or export a "
                "model that reads smaller ones"
            ) from error
        return arrays, truncated_rows(modality, values, arrays)

    def _no_rows(self, name: str) -> dict[str, Array]:
        """Return the smallest possible tensors of an input that no row has; no modality is needed for these."""
        import numpy as np

        axes = self.session.axes
        return {
            leaf: np.zeros(
                (0, *(axis if isinstance(axis, int) else axes[axis].smallest for axis in spec.axes[1:])), spec.dtype
            )
            for leaf, spec in of_owner(name, self.session.inputs).items()
            if leaf != PRESENT
        }


def decoded_values(outputs: Mapping[str, Array], modality: Modality) -> list[Any]:
    """Return a decoder's outputs as values for a person, one per row, made by its modality.

    Raises DataError if an output is missing that the modality needs.
    """
    try:
        return list(modality.from_arrays(by_leaf(outputs)))
    except KeyError as error:
        raise DataError(
            f"the outputs {', '.join(outputs)} are not enough for a value: {type(modality).__name__} also needs "
            f"{error}; give all outputs of one graph, and if they are all, export the model again"
        ) from error


def check_counts(session: Session, values: Rows) -> None:
    """Raise UsageError if values are not a mapping of lists, or the lists are empty or of different lengths."""
    if not isinstance(values, Mapping):
        raise UsageError(
            f"the graph {session.name!r} takes values by input, as in {{'caption': ['red heart']}}; "
            f"got a {type(values).__name__}"
        )
    counts = {name: len(listed(given, f"the input {name!r}")) for name, given in values.items()}
    if len({*counts.values()}) > 1:
        knows_gaps = bool(presences(session.inputs))
        raise UsageError(
            f"the graph {session.name!r} takes one value per row for each input, got "
            f"{', '.join(f'{count} of {name!r}' for name, count in counts.items())}"
            f"{'; give None where a value is missing' if knows_gaps else ''}"
        )
    if 0 in counts.values():
        raise UsageError(f"the graph {session.name!r} takes at least one row; got no value of {', '.join(counts)}")


def as_array(given: Any, spec: TensorSpec, name: str) -> Array:
    """Return numbers as the array that a graph takes.

    Raises UsageError if they are not numbers, or if the dtype cannot hold them.
    """
    import numpy as np

    takes = f"{name!r} takes numbers of {spec.dtype} with axes {spec.axes}"
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise UsageError(f"{takes}: {error}") from error
    if array.dtype.kind not in "biuf":
        raise UsageError(f"{takes}; it came as {'text' if array.dtype.kind == 'U' else array.dtype}")
    with np.errstate(invalid="ignore", over="ignore"):
        cast: Array = array.astype(spec.dtype)
    held = np.array_equal(cast, array) if cast.dtype.kind in "biu" else not (np.isinf(cast) & np.isfinite(array)).any()
    if not held:
        raise UsageError(f"{takes}; it came as {array.dtype} with values that {spec.dtype} cannot hold")
    return cast
