"""Writes a bundle: graphs, weights, manifest, what raw values need, a reference to judge it by again, a card.

Every graph is judged against torch before the bundle gets its name; one miss and there is no bundle. Where the exporter
can, all graphs share one file of weights, which is the checkpoint itself.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from zoo import __version__
from zoo.checkpoint import Checkpoint, modality_arrays, names_in, recipe_json, save_checkpoint
from zoo.errors import UsageError
from zoo.judging import Case, Verdict, judge, make_cases
from zoo.model import Model
from zoo.protocols import Exporter, Graph, SharesWeights, Stamps, TensorSpec
from zoo.runtime import Bundle
from zoo.runtime.manifest import sealed
from zoo.store import digests, staged_folder
from zoo.tables import SCHEMA

if TYPE_CHECKING:
    from zoo.protocols import Array

WEIGHTS = "model.safetensors"
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
    single_file: bool = False,
    observe: Callable[[Verdict], None] | None = None,
) -> dict[str, Any]:
    """Export the graphs of a model, all or those named, into the folder ``out``, and return the bundle's manifest.

    ``exporter_name`` is what the exporter is registered as: files that are no ONNX are run by it wherever they go.
    With ``single_file`` each graph holds its own copy of its weights.

    Raises ParityError where a graph does not compute what torch computes; ``out`` is then as it was before.
    """
    shares = exporter if isinstance(exporter, SharesWeights) and not single_file else None

    def place(graph: Graph, path: Path) -> None:
        exporter.write(graph, path)
        if shares is not None:
            shares.link(path, path.with_name(WEIGHTS), names_in(graph.module, checkpoint.model.objective))

    with staged_folder(out) as staging:
        if shares is not None:
            save_checkpoint(checkpoint.model, checkpoint.recipe, staging / WEIGHTS)
        placed = _placed(checkpoint.model.graphs(graphs), exporter, staging, place, observe)
        return _completed(staging, checkpoint, exporter, exporter_name, origin, placed)


def renew(
    checkpoint: Checkpoint,
    exporter: Exporter,
    bundle: Bundle,
    *,
    origin: Origin,
    observe: Callable[[Verdict], None] | None = None,
) -> dict[str, Any]:
    """Put other weights of the same spec into a bundle: its graphs stay what they are, and are judged again.

    Raises UsageError where the weights are of another spec, or the graphs hold weights of their own; ParityError where
    a graph does not compute what torch computes with the new weights. The bundle is then as it was before.
    """
    if not isinstance(exporter, SharesWeights) or not (bundle.folder / WEIGHTS).is_file():
        raise UsageError(
            f"the graphs of {bundle.folder} hold their own weights, no file {WEIGHTS} beside them; export the model "
            "without --weights-only"
        )
    if bundle.recipe.spec != checkpoint.recipe.spec:
        raise UsageError(
            f"{bundle.folder} is of another spec than these weights; export the model without --weights-only"
        )

    def place(graph: Graph, path: Path) -> None:
        shutil.copyfile(bundle.folder / path.name, path)
        exporter.link(path, path.with_name(WEIGHTS), {})

    with staged_folder(bundle.folder) as staging:
        save_checkpoint(checkpoint.model, checkpoint.recipe, staging / WEIGHTS)
        placed = _placed(checkpoint.model.graphs(bundle.graphs), exporter, staging, place, observe)
        return _completed(staging, checkpoint, exporter, bundle.manifest["exporter"], origin, placed)


@dataclass(frozen=True)
class _Placed:
    """A graph in the folder of a bundle, the cases that it was judged on, and how it fared."""

    graph: Graph
    path: Path
    cases: Sequence[Case]
    verdict: Verdict

    def described(self) -> dict[str, Any]:
        """Return what the manifest tells of the graph."""
        return {"file": self.path.name, **_described(self.graph), "parity": self.verdict.summary()}


def _placed(
    graphs: Sequence[Graph],
    exporter: Exporter,
    folder: Path,
    place: Callable[[Graph, Path], None],
    observe: Callable[[Verdict], None] | None,
) -> list[_Placed]:
    """Have ``place`` put each graph into the folder, and judge it there."""
    found = []
    for graph in graphs:
        path = folder / f"{graph.name}{exporter.suffix}"
        place(graph, path)
        cases = make_cases(graph)
        verdict = judge(graph, cases, exporter.open(graph, path), exporter.open(graph, path))
        found.append(_Placed(graph, path, cases, verdict))
        if observe is not None:
            observe(verdict)
    return found


def _completed(
    folder: Path,
    checkpoint: Checkpoint,
    exporter: Exporter,
    exporter_name: str,
    origin: Origin,
    placed: Sequence[_Placed],
) -> dict[str, Any]:
    """Write everything but the graphs and weights of a bundle, and return its manifest."""
    model = checkpoint.model
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "origin": asdict(origin),
        "checkpoint_sha256": checkpoint.sha256,
        "exporter": exporter_name,
        "versions": {"modalzoo": __version__, **exporter.versions()},
        "graphs": {one.graph.name: one.described() for one in placed},
    }
    if isinstance(exporter, Stamps):
        for one in placed:
            exporter.stamp(one.path, _facts(one.graph.name, checkpoint, manifest))
    reference = {key: array for one in placed for key, array in _reference(one.graph, one.cases).items()}
    (folder / "reference.safetensors").write_bytes(save(reference))
    (folder / "state.safetensors").write_bytes(save(modality_arrays(model.modalities)))
    _write_json(folder / "spec.json", recipe_json(checkpoint.recipe))
    (folder / "README.md").write_text(card(model, manifest))
    manifest = sealed({**manifest, "files": digests(folder)})
    _write_json(folder / "manifest.json", manifest)
    return manifest


def _facts(graph: str, checkpoint: Checkpoint, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return what a graph's own file says of itself, should it ever stand alone."""
    origin = manifest["origin"]
    facts = {
        "graph": graph,
        "name": origin["name"],
        "license": origin["license"],
        "data_license": origin["data_license"],
        "checkpoint_sha256": checkpoint.sha256,
        "spec": recipe_json(checkpoint.recipe)["spec"],
        "versions": manifest["versions"],
        "parity": manifest["graphs"][graph]["parity"],
    }
    return {
        f"modalzoo.{key}": fact if isinstance(fact, str) else json.dumps(fact, sort_keys=True, ensure_ascii=False)
        for key, fact in facts.items()
    }


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
