"""Writes a graph as OpenVINO's intermediate representation, by way of ONNX, and runs it on OpenVINO's CPU plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any

from zoo import Graph, RunsArrays, ZooError
from zoo_openvino.importing import openvino
from zoo_openvino.special_values import keep_special_values

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from zoo_onnx import OnnxExporter


class OpenvinoExporter:
    """A graph as ``.xml``, its weights in full precision as a ``.bin`` of the same name beside it.

    An opened graph runs on ``threads`` threads of the CPU, in float32 throughout.
    """

    suffix = ".xml"

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads

    def write(self, graph: Graph, path: Path) -> None:
        """Write ``graph`` to ``path``; the same model gives the same bytes each time."""
        with TemporaryDirectory() as folder, _errors(graph, "converted to OpenVINO"):
            between = Path(folder) / "graph.onnx"
            self._onnx.write(graph, between)
            model = openvino.Core().read_model(between)
            keep_special_values(model)
            _name_by_place(model)
            openvino.save_model(model, path, compress_to_fp16=False)

    def stamp(self, path: Path, facts: Mapping[str, str]) -> None:
        """Write facts about a model into its ``.xml``, as OpenVINO's runtime information."""
        model = openvino.Core().read_model(path)
        for name, fact in sorted(facts.items()):
            model.set_rt_info(fact, name)
        with TemporaryDirectory(dir=path.parent) as folder:  # a file must not be overwritten while it is read
            openvino.save_model(model, Path(folder, path.name), compress_to_fp16=False)
            Path(folder, path.name).replace(path)

    def open(self, graph: Graph, path: Path) -> RunsArrays:
        """Load the files that ``write`` left, on the CPU."""
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # several processes would share the first core
        }
        with _errors(graph, "loaded by OpenVINO"):
            request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()
        one_at_a_time = Lock()

        def run(arrays: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
            with one_at_a_time, _errors(graph, "run by OpenVINO"):
                # infer() on one thread drops an error, and returns empty arrays.
                request.start_async({name: arrays[name] for name in graph.inputs})
                request.wait()
                return {name: request.get_tensor(name).data.copy() for name in graph.outputs}

        return run

    def versions(self) -> Mapping[str, str]:
        """Return the versions of OpenVINO and of the packages that write ONNX."""
        return {**self._onnx.versions(), "openvino": openvino.__version__}

    @cached_property
    def _onnx(self) -> OnnxExporter:
        from zoo_onnx import OnnxExporter  # with torch, which an opened graph does not need

        return OnnxExporter()


def _name_by_place(model: openvino.Model) -> None:
    """Name nodes without a name by their place in the graph, since OpenVINO numbers them per process."""
    for place, operation in enumerate(model.get_ordered_ops()):
        if operation.get_friendly_name() == operation.get_name():
            operation.set_friendly_name(f"{operation.get_type_name()}.{place}")


@contextmanager
def _errors(graph: Graph, done: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        cause = str(error).strip().splitlines()[-1]
        message = f"the graph {graph.name!r} cannot be {done}: {cause}; docs/runtimes.md lists what can be"
        raise ZooError(message) from error
