"""One loaded graph: inputs are checked against what it takes; onnxruntime's provider is the one asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import UsageError, ZooError
from zoo.protocols import Axis, RunsArrays, TensorSpec

if TYPE_CHECKING:
    from zoo.protocols import Array

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_ANY_SIZE = Axis(1, 2**31 - 1)


@dataclass(frozen=True)
class Session:
    """A loaded graph; call it with arrays by name."""

    name: str
    inputs: Mapping[str, TensorSpec]
    axes: Mapping[str, Axis]
    outputs: tuple[str, ...]
    compute: RunsArrays

    def __call__(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph.

        Raises UsageError, saying what the graph takes and what came, where a name, dtype, rank or size is wrong.
        """
        self._check(arrays)
        return dict(self.compute(arrays))

    def _check(self, arrays: Mapping[str, Array]) -> None:
        if set(arrays) != set(self.inputs):
            raise UsageError(f"the graph {self.name!r} takes {self._takes()}; got {', '.join(arrays) or 'nothing'}")
        sizes: dict[str | int, int] = {}
        for name, spec in self.inputs.items():
            array = arrays[name]
            if array.dtype != np.dtype(spec.dtype) or array.ndim != len(spec.axes):
                raise UsageError(f"the graph {self.name!r} takes {self._takes()}; {name!r} came as {_shown(array)}")
            if array.dtype.kind in "iu" and array.size and not spec.low <= array.min() <= array.max() <= spec.high:
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


def _failures() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises; its exceptions have no root of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = vars(state).values()
    return tuple(kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _shown(array: Array) -> str:
    return f"{array.dtype} of shape {array.shape}"


def open_session(
    path: Path,
    name: str,
    inputs: Mapping[str, TensorSpec],
    axes: Mapping[str, Axis],
    outputs: tuple[str, ...],
    *,
    provider: str = "cpu",
    threads: int = 1,
) -> Session:
    """Load a graph on one provider; there is no silent fall-back to another.

    Raises ZooError where onnxruntime is missing or cannot use the provider.
    """
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise ZooError(
            "onnxruntime is not installed; install modalzoo[cpu], or modalzoo[gpu] where there is an NVIDIA GPU"
        ) from error
    if provider not in PROVIDERS:
        raise UsageError(f"no provider {provider!r}; there is {', '.join(PROVIDERS)}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    wanted = PROVIDERS[provider]
    if wanted not in ort.get_available_providers():
        raise ZooError(f"this onnxruntime has no {wanted}; install modalzoo[gpu], or use --provider cpu")
    failures = _failures()
    try:
        session = ort.InferenceSession(str(path), options, providers=[wanted])
    except failures as error:
        raise ZooError(
            f"onnxruntime cannot load the graph {name!r}: {_first_line(error)}; export the model again"
        ) from error
    if session.get_providers()[0] != wanted:
        raise ZooError(
            f"{wanted} cannot be used here, onnxruntime fell back to {session.get_providers()[0]}; "
            "check the driver and CUDA's libraries, or use --provider cpu"
        )

    def compute(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        try:
            return dict(zip(outputs, session.run(list(outputs), dict(arrays)), strict=True))
        except failures as error:
            raise ZooError(
                f"onnxruntime cannot run the graph {name!r} on inputs of these sizes: {_first_line(error)}; "
                "report it with the model's recipe"
            ) from error

    return Session(name, inputs, axes, outputs, compute)
