"""One loaded graph; its inputs are checked before each run."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from zoo.errors import UsageError, ZooError
from zoo.files.store import with_plain_name
from zoo.protocols import Axis, RunsArrays, TensorSpec
from zoo.recipes.arguments import checked
from zoo.runtime.binding import Bound
from zoo.runtime.forking import of_this_process
from zoo.runtime.loading import first_line, load, runtime_errors

if TYPE_CHECKING:
    from zoo.protocols import Array

_ANY_SIZE = Axis(1, 2**31 - 1)


@dataclass(frozen=True)
class Session:
    """A loaded graph; call it with arrays by name."""

    name: str
    inputs: Mapping[str, TensorSpec]
    axes: Mapping[str, Axis]
    outputs: tuple[str, ...]
    compute: RunsArrays

    def __repr__(self) -> str:
        return f"<session {self.name!r}: {', '.join(self.inputs)} → {', '.join(self.outputs)}>"

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            f"the graph {self.name!r} belongs to its process; pickle the bundle, and take the graph from it there"
        )

    def __call__(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph.

        Raises UsageError, saying what the graph takes and what came, if a name, dtype, rank or size is wrong.
        """
        self.check(arrays)
        return dict(self.compute(arrays))

    def check(self, arrays: Mapping[str, Array]) -> None:
        """Raise UsageError, saying what the graph takes and what came, if a name, dtype, rank or size is wrong."""
        if not isinstance(arrays, Mapping):
            raise UsageError(f"the graph {self.name!r} takes arrays by tensor; got a {type(arrays).__name__}")
        if arrays.keys() != self.inputs.keys():
            raise UsageError(f"the graph {self.name!r} takes {self._takes()}; got {', '.join(arrays) or 'nothing'}")
        sizes: dict[str | int, int] = {}
        for name, spec in self.inputs.items():
            array = arrays[name]
            if not isinstance(array, np.ndarray):
                raise UsageError(
                    f"the graph {self.name!r} takes NumPy arrays; {name!r} came as {type(array).__name__}: give raw "
                    "values to Bundle.run, or what Bundle.arrays makes of them"
                )
            if array.dtype != np.dtype(spec.dtype) or array.ndim != len(spec.axes):
                raise UsageError(f"the graph {self.name!r} takes {self._takes()}; {name!r} came as {_shown(array)}")
            if (
                array.dtype.kind in "iu"
                and array.size
                and _is_narrower(spec)
                and not spec.low <= array.min() <= array.max() <= spec.high
            ):
                raise UsageError(
                    f"the graph {self.name!r}: {name!r} takes {spec.low:g} to {spec.high:g}; "
                    f"it came with {array.min()} to {array.max()}"
                )
            for axis, size in zip(spec.axes, array.shape, strict=True):
                bounds = self.axes.get(str(axis), _ANY_SIZE)
                fits = size == axis if isinstance(axis, int) else bounds.smallest <= size <= bounds.largest
                if not fits or sizes.setdefault(axis, size) != size:
                    expected = (
                        axis if isinstance(axis, int) else f"{bounds.smallest} to {bounds.largest}, equal in all inputs"
                    )
                    raise UsageError(
                        f"the graph {self.name!r}: axis {axis} of {name!r} is {expected}; it came as {_shown(array)}"
                    )

    def _takes(self) -> str:
        return ", ".join(
            f"{name}: {spec.dtype} ({', '.join(map(str, spec.axes))})" for name, spec in self.inputs.items()
        )


@functools.cache
def _is_narrower(spec: TensorSpec) -> bool:
    """Return whether the range of a tensor of whole numbers is smaller than that of its dtype."""
    info = np.iinfo(spec.dtype)
    return spec.low > info.min or spec.high < info.max


def _shown(array: Array) -> str:
    return f"{array.dtype} of shape {array.shape}"


@checked
def open_session(
    path: Path,
    name: str,
    inputs: Mapping[str, TensorSpec],
    axes: Mapping[str, Axis],
    outputs: tuple[str, ...],
    *,
    provider: str = "cpu",
    threads: int = 1,
    fixed_shapes: bool = False,
    settings: Mapping[str, str] | None = None,
    identity: str = "",
) -> Session:
    """Load a graph on one provider; there is no silent fall-back to another.

    With ``fixed_shapes`` inputs and outputs keep their place in memory for each shape, and CUDA replays its recording
    of the first run: faster on a GPU if a few shapes recur, slower on a CPU. The other settings are those of
    ``loading.load``.

    Raises ZooError if onnxruntime is missing, cannot use the provider or cannot read the file.
    """
    with with_plain_name(path) as named:
        session = load(
            named, provider=provider, threads=threads, fixed_shapes=fixed_shapes, settings=settings, identity=identity
        )
    failures, names = runtime_errors(), list(outputs)
    if fixed_shapes:
        run: RunsArrays = Bound(session, outputs, device="cpu" if provider == "cpu" else "cuda")
    else:

        def run(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
            return dict(zip(names, session.run(names, dict(arrays)), strict=True))

    def compute(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        try:
            return run(arrays)
        except failures as error:
            raise ZooError(
                f"onnxruntime cannot run the graph {name!r} on inputs of these sizes: {first_line(error)}; "
                "report it with the model's recipe"
            ) from error

    return Session(name, inputs, axes, outputs, of_this_process(name, compute))
