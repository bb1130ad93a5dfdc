"""A bundle's description of itself: its card, and the metadata in each graph's file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from zoo.exporting.judging import Verdict
from zoo.models.build import Model
from zoo.models.checkpoint import Checkpoint, recipe_json
from zoo.protocols import TensorSpec
from zoo.runtime.manifest import Manifest


def facts(graph: str, verdict: Verdict, checkpoint: Checkpoint, manifest: Manifest) -> dict[str, str]:
    """Return the metadata of a graph's own file, which must also make sense without the bundle."""
    origin = manifest.origin
    known = {
        "graph": graph,
        "name": origin.name,
        "license": origin.license,
        "data_license": origin.data_license,
        "checkpoint_sha256": checkpoint.sha256,
        "spec": recipe_json(checkpoint.recipe)["spec"],
        "versions": dict(manifest.versions),
        "parity": asdict(verdict.parity()),
        "batch": "at least one row",
    }
    return {
        f"modalzoo.{key}": fact if isinstance(fact, str) else json.dumps(fact, sort_keys=True, ensure_ascii=False)
        for key, fact in known.items()
    }


def card(model: Model, manifest: Manifest, precisions: Sequence[str] = ()) -> str:
    """Return the page of a bundle: what it is, what its graphs take and return, and how well they agree with torch.

    ``precisions`` are the lines of the table of those that the bundle has beside float32.
    """
    origin = manifest.origin
    lines = [
        f"# {origin.name}",
        "",
        f"{model.spec.objective.name} over {', '.join(model.spec.modalities)}, {model.parameter_count:,} parameters.",
        f"Licence of the weights: {origin.license or 'not stated'}. "
        f"Licence of the data: {origin.data_license or 'not stated'}.",
        "",
        "| graph | takes | gives | cases | fraction of the tolerance used | largest error |",
        "|---|---|---|---|---|---|",
    ]
    for name, graph in manifest.graphs.items():
        parity = graph.parity
        takes, gives = (
            ", ".join(f"`{key}` {_shape(spec)}" for key, spec in tensors.items())
            for tensors in (graph.inputs, graph.outputs)
        )
        lines.append(
            f"| {name} | {takes} | {gives} | {parity.cases} | {parity.used:.2f} | {parity.max_abs_error:.1e} |"
        )
    lines += [
        "",
        "A batch has at least one row. `zoo` refuses an empty one; a program that runs a file on plain onnxruntime",
        "must do so itself: on a batch without rows, the LSTM and the GRU of onnxruntime end the whole process.",
    ]
    if precisions:
        lines += ["", "## Precisions", "", *precisions]
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    lines += [
        "",
        f"Run: `zoo run FOLDER GRAPH -i NAME=VALUE`. Judge again: `zoo parity FOLDER`. Made with {versions}.",
        "",
    ]
    return "\n".join(lines)


def _shape(spec: TensorSpec) -> str:
    return f"{spec.dtype} ({', '.join(map(str, spec.axes))})"
