"""Runs graphs on fixed memory, one place per shape: this is I/O binding, and CUDA graphs need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

    from zoo.protocols import Array

MOST_SHAPES = 8
_NOT_RECORDED = -1

_Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class _Placed:
    """The inputs and outputs of runs of one shape, on the device."""

    binding: Any
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    number: int
    options: RunOptions


class Bound:
    """A session whose inputs and outputs stay at one place in memory for each shape; results belong to the caller.

    Threads take turns, since all write to the same place.

    The last ``MOST_SHAPES`` shapes keep a place. If the session was loaded with CUDA graphs, the first run of a shape
    records one, and later runs replay it.
    """

    def __init__(self, session: InferenceSession, outputs: Sequence[str], *, device: str = "cpu") -> None:
        self._session = session
        self._outputs = tuple(outputs)
        self._device = device
        self._places: dict[_Shapes, _Placed] = {}
        self._placed_so_far = 0
        self._one_at_a_time = Lock()

    def __call__(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph."""
        with self._one_at_a_time:
            return self._run(arrays)

    def _run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        shapes = tuple((name, array.shape) for name, array in arrays.items())
        placed = self._places.get(shapes)
        if placed is None:
            placed = self._place(arrays)
            if len(self._places) == MOST_SHAPES:
                self._session.release_captured_graph(self._places.pop(next(iter(self._places))).number)
            self._places[shapes] = placed
        else:
            for name, array in arrays.items():
                placed.inputs[name].update_inplace(array)
        self._session.run_with_iobinding(placed.binding, placed.options)
        return {name: value.numpy().copy() for name, value in placed.outputs.items()}

    def _place(self, arrays: Mapping[str, Array]) -> _Placed:
        """Put the inputs on the device, and run once to learn how large the outputs are."""
        import onnxruntime as ort

        binding = self._session.io_binding()
        # On the CPU onnxruntime would use the caller's own memory.
        inputs = {
            name: ort.OrtValue.ortvalue_from_numpy(array.copy(order="C"), self._device, 0)
            for name, array in arrays.items()
        }
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name in self._outputs:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding, _recording(_NOT_RECORDED))
        outputs = dict(zip(self._outputs, binding.get_outputs(), strict=True))
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        self._placed_so_far += 1
        return _Placed(binding, inputs, outputs, self._placed_so_far, _recording(self._placed_so_far))


def _recording(number: int) -> RunOptions:
    """Return options of a run that is recorded, or replayed, under this number; the CPU ignores them."""
    import onnxruntime as ort

    options = ort.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(number))
    return options
