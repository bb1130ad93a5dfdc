"""Writes a bundle: graphs, manifest, what raw values need, a reference to judge it by again, a card.

Every graph is judged against torch before the bundle gets its name; one miss and there is no bundle.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from zoo import __version__
from zoo.checkpoint import Checkpoint, modality_arrays, recipe_json
from zoo.judging import Case, Verdict, judge, make_cases
from zoo.model import Model
from zoo.protocols import Exporter, Graph, TensorSpec
from zoo.runtime.manifest import sealed
from zoo.store import digests, staged_folder
from zoo.tables import SCHEMA

if TYPE_CHECKING:
    from zoo.protocols import Array

_REFERENCE_CASES = 4
_REFERENCE_BYTES = 256 << 10


@dataclass(frozen=True)
class Origin:
    """Where the weights of a bundle come from, for its manifest and card."""

    name: str
    license: str = ""
    data_license: str = ""
    revision: str = ""


def export(
    checkpoint: Checkpoint,
    exporter: Exporter,
    out: Path,
    *,
    origin: Origin,
    exporter_name: str = "onnx",
    graphs: Sequence[str] = (),
    observe: Callable[[Verdict], None] | None = None,
) -> dict[str, Any]:
    """Export the graphs of a model, all or those named, into the folder ``out``, and return the bundle's manifest.

    ``exporter_name`` is what the exporter is registered as: files that are no ONNX are run by it wherever they go.

    Raises ParityError where a graph does not compute what torch computes; ``out`` is then as it was before.
    """
    model = checkpoint.model
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "origin": asdict(origin),
        "checkpoint_sha256": checkpoint.sha256,
        "exporter": exporter_name,
        "versions": {"modalzoo": __version__, **exporter.versions()},
        "graphs": {},
    }
    reference: dict[str, Array] = {}
    with staged_folder(out) as staging:
        for graph in model.graphs(graphs):
            file = f"{graph.name}{exporter.suffix}"
            exporter.write(graph, staging / file)
            cases = make_cases(graph)
            verdict = judge(graph, cases, exporter.open(graph, staging / file), exporter.open(graph, staging / file))
            manifest["graphs"][graph.name] = {"file": file, **_described(graph), "parity": verdict.summary()}
            reference.update(_reference(graph, cases))
            if observe is not None:
                observe(verdict)
        (staging / "reference.safetensors").write_bytes(save(reference))
        (staging / "state.safetensors").write_bytes(save(modality_arrays(model.modalities)))
        _write_json(staging / "spec.json", recipe_json(checkpoint.recipe))
        (staging / "README.md").write_text(card(model, manifest))
        manifest = sealed({**manifest, "files": digests(staging)})
        _write_json(staging / "manifest.json", manifest)
    return manifest


def card(model: Model, manifest: Mapping[str, Any]) -> str:
    """Return the page of a bundle: what it is, what its graphs take and give, how well they agree with torch."""
    origin = manifest["origin"]
    lines = [
        f"# {origin['name']}",
        "",
        f"{model.spec.objective.name} over {', '.join(model.spec.modalities)}, {model.parameter_count:,} parameters.",
        f"Licence of the weights: {origin['license'] or 'not stated'}. "
        f"Licence of the data: {origin['data_license'] or 'not stated'}.",
        "",
        "| graph | takes | gives | cases | share of the tolerance used | largest error |",
        "|---|---|---|---|---|---|",
    ]
    for name, graph in manifest["graphs"].items():
        parity = graph["parity"]
        takes, gives = (
            ", ".join(f"`{key}` {_shape(spec)}" for key, spec in graph[way].items()) for way in ("inputs", "outputs")
        )
        lines.append(
            f"| {name} | {takes} | {gives} | {parity['cases']} | {parity['used']:.2f} | {parity['max_abs_error']:.1e} |"
        )
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    lines += [
        "",
        f"Run: `zoo run FOLDER GRAPH -i NAME=VALUE`. Judge again: `zoo parity FOLDER`. Made with {versions}.",
        "",
    ]
    return "\n".join(lines)


def _described(graph: Graph) -> dict[str, Any]:
    return {
        "inputs": {name: _written(spec) for name, spec in graph.inputs.items()},
        "outputs": {name: _written(spec) for name, spec in graph.outputs.items()},
        "axes": {name: asdict(axis) for name, axis in graph.axes.items()},
    }


def _written(spec: TensorSpec) -> dict[str, Any]:
    bounds = {key: value if np.isfinite(value) else None for key, value in (("low", spec.low), ("high", spec.high))}
    return {"dtype": spec.dtype, "axes": list(spec.axes), **bounds}


def _reference(graph: Graph, cases: Sequence[Case]) -> dict[str, Array]:
    """Return small cases of a graph as arrays for one file: inputs, float64 outputs, what each row may differ by."""
    small = [case for case in cases if _size(case) <= _REFERENCE_BYTES][:_REFERENCE_CASES] or cases[:1]
    return {
        f"{graph.name}/{number}/{part}/{name}": np.ascontiguousarray(array)
        for number, case in enumerate(small)
        for part, arrays in (("inputs", case.inputs), ("expected", case.expected), ("allowed", case.allowed))
        for name, array in arrays.items()
    }


def _size(case: Case) -> int:
    return sum(array.nbytes for arrays in (case.inputs, case.expected) for array in arrays.values())


def _shape(spec: Mapping[str, Any]) -> str:
    return f"{spec['dtype']} ({', '.join(map(str, spec['axes']))})"


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
