"""What a bundle tells of itself: its card, what its manifest says of a graph, what a graph's own file says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.exporting.judging import Case, Verdict
from zoo.models.build import Model
from zoo.models.checkpoint import Checkpoint, recipe_json
from zoo.parity.regimes import EVERY_VALUE
from zoo.protocols import Graph, TensorSpec
from zoo.recipes.naming import is_text

if TYPE_CHECKING:
    from zoo.protocols import Array

_REFERENCE_BYTES = 256 << 10


def facts(graph: str, verdict: Verdict, checkpoint: Checkpoint, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return what a graph's own file says of itself, should it ever stand alone."""
    origin = manifest["origin"]
    known = {
        "graph": graph,
        "name": origin["name"],
        "license": origin["license"],
        "data_license": origin["data_license"],
        "checkpoint_sha256": checkpoint.sha256,
        "spec": recipe_json(checkpoint.recipe)["spec"],
        "versions": manifest["versions"],
        "parity": verdict.summary(),
        "batch": "at least one row",
    }
    return {
        f"modalzoo.{key}": fact if isinstance(fact, str) else json.dumps(fact, sort_keys=True, ensure_ascii=False)
        for key, fact in known.items()
    }


def card(model: Model, manifest: Mapping[str, Any], precisions: Sequence[str] = ()) -> str:
    """Return the page of a bundle: what it is, what its graphs take and give, how well they agree with torch.

    ``precisions`` are the lines of the table of those that the bundle has beside float32.
    """
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
    lines += [
        "",
        "A batch has at least one row. `zoo` refuses one without; a program that runs a file by onnxruntime alone must",
        "do so itself: on no rows, the LSTM and the GRU of onnxruntime end the whole process.",
    ]
    if precisions:
        lines += ["", "## Precisions", "", *precisions]
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    lines += [
        "",
        f"Run: `zoo run FOLDER GRAPH -i NAME=VALUE`. Judge again: `zoo parity FOLDER`. Made with {versions}.",
        "",
    ]
    return "\n".join(lines)


def described(graph: Graph) -> dict[str, Any]:
    """Return what a manifest tells of what a graph does, of its tensors and axes."""
    return {
        "kind": graph.kind,
        "source": graph.source,
        "target": graph.target,
        "raw": graph.raw,
        "inputs": {name: _written(name, spec) for name, spec in graph.inputs.items()},
        "outputs": {name: _written(name, spec) for name, spec in graph.outputs.items()},
        "axes": {name: asdict(axis) for name, axis in graph.axes.items()},
    }


def _written(name: str, spec: TensorSpec) -> dict[str, Any]:
    bounds = {key: value if np.isfinite(value) else None for key, value in (("low", spec.low), ("high", spec.high))}
    form = {"normal_form": spec.normal_form} if is_text(name) else {}
    return {"dtype": spec.dtype, "axes": list(spec.axes), **bounds, **form}


def reference(name: str, cases: Sequence[Case]) -> dict[str, Array]:
    """Return cases of the graph ``name`` as arrays for one file: inputs, float64 outputs, tolerances.

    They are those that hold every value of an input, then the smaller ones, as many as fit.
    """
    fitting = sorted((case for case in cases if _size(case) <= _REFERENCE_BYTES), key=_rank)
    totals = accumulate(map(_size, fitting))
    kept = [case for case, total in zip(fitting, totals, strict=True) if total <= _REFERENCE_BYTES]
    return {
        f"{name}/{number}/{part}/{tensor}": np.ascontiguousarray(array)
        for number, case in enumerate(kept or [min(cases, key=_size)])
        for part, arrays in (("inputs", case.inputs), ("expected", case.expected), ("allowed", case.allowed))
        for tensor, array in arrays.items()
    }


def _rank(case: Case) -> tuple[bool, int]:
    return not case.name.startswith(EVERY_VALUE), _size(case)


def _size(case: Case) -> int:
    return sum(array.nbytes for arrays in (case.inputs, case.expected) for array in arrays.values())


def _shape(spec: Mapping[str, Any]) -> str:
    return f"{spec['dtype']} ({', '.join(map(str, spec['axes']))})"
