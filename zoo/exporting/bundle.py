"""Writes a bundle: graphs, weights, manifest, the state for raw values, a reference to judge it again, and a card.

Every graph is judged against torch before the bundle gets its name; if one fails, there is no bundle. If the exporter
supports it, all graphs share one file of weights, which is the checkpoint itself.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from safetensors.numpy import save

from zoo.errors import UsageError, ZooError
from zoo.exporting.card import card, facts
from zoo.exporting.judging import Verdict, by_rounding, judge, make_cases, opened_twice
from zoo.exporting.layouts import Arranged
from zoo.exporting.precisions.data import Data
from zoo.exporting.precisions.files import Placed, asked_precisions, reduce_graph
from zoo.exporting.precisions.worth import losses, recommended, table, worth
from zoo.exporting.reference import reference
from zoo.files.replacing import BUNDLE, replaceable
from zoo.files.store import staged_folder
from zoo.hookspecs import __version__
from zoo.models.checkpoint import Checkpoint, modality_arrays, names_in, recipe_json, save_checkpoint
from zoo.offers import FindsFault, SharesWeights, Stamps
from zoo.parity.precisions import FULL, Precision
from zoo.protocols import Exporter, Graph
from zoo.reading.lists import listed
from zoo.recipes.tables import json_text
from zoo.runtime.bundle import Bundle
from zoo.runtime.manifest import Manifest
from zoo.runtime.records import GraphRecord, JudgedFile, Origin, Worth

WEIGHTS = "model.safetensors"
_log = logging.getLogger(__name__)


def export(
    checkpoint: Checkpoint,
    exporter: Exporter,
    out: Path,
    *,
    origin: Origin,
    exporter_name: str = "onnx",
    graphs: Sequence[str] = (),
    precisions: Sequence[str] = (),
    single_file: bool = False,
    layout: Arranged | None = None,
    observe: Callable[[Verdict], None] | None = None,
) -> Manifest:
    """Export the graphs of a model, all or the named ones, into the folder ``out``, and return the bundle's manifest.

    ``exporter_name`` is the registered name of the exporter; files that are not ONNX need it to be run later.
    ``precisions`` are written beside float32, and measured on the data of the checkpoint's recipe, which are checked
    first. If these cannot be read, a warning says so, and precisions without calibration are judged only on drawn
    cases. With ``single_file`` each graph holds its own copy of its weights. ``layout`` adds its files at the end.

    Raises UsageError if ``out`` holds anything except a bundle, or a bundle with other files in it, or if the exporter
    lacks a precision; ParityError if a graph does not compute the same as torch. ``out`` is then unchanged.
    """
    asked = asked_precisions(exporter, listed(precisions, "precisions"))
    shares = exporter if isinstance(exporter, SharesWeights) and not single_file else None

    def place(graph: Graph, path: Path) -> None:
        exporter.write(graph, path)
        if shares is not None:
            shares.link(path, path.with_name(WEIGHTS), names_in(graph.module, checkpoint.model.objective))

    replaceable(out, BUNDLE)
    data = _data(checkpoint, asked) if asked else None
    with staged_folder(out, replaces=BUNDLE) as staging:
        if shares is not None:
            save_checkpoint(checkpoint.model, checkpoint.recipe, staging / WEIGHTS)
        placed = {FULL: _placed(checkpoint.model.graphs(graphs), exporter, staging, place, observe)}
        found: Mapping[str, Worth] = {}
        if asked:
            placed |= {precision.name: [] for precision in asked}
            for one in placed[FULL]:
                for precision, reduced in reduce_graph(one, exporter, asked, data).items():
                    placed[precision].append(reduced)
                    _tell([reduced], observe)
            found = worth(placed, staging / WEIGHTS, exporter, data)
            if data is not None and (told := str(data.left_out)):
                _log.warning("%s", told)
        return _completed(staging, checkpoint, exporter, exporter_name, origin, placed, found, layout)


def renew(
    checkpoint: Checkpoint,
    exporter: Exporter,
    bundle: Bundle,
    *,
    origin: Origin,
    layout: Arranged | None = None,
    observe: Callable[[Verdict], None] | None = None,
) -> Manifest:
    """Put other weights of the same spec into a bundle: its graphs stay the same and are judged again.

    ``layout`` must be the bundle's own, since its files are written again.

    Raises UsageError if the weights are of another spec, if files of the bundle hold their own weights, or if its
    folder contains files that are not part of it; ParityError if a graph does not compute the same as torch with the
    new weights. The bundle is then unchanged.
    """
    files = bundle.contents.files
    if not isinstance(exporter, SharesWeights) or WEIGHTS not in files.promised or bundle.precisions[1:]:
        raise UsageError(
            f"graphs of {bundle.folder} hold their own weights, not in {WEIGHTS} beside them; export the model "
            "without `weights_only`"
        )
    if bundle.recipe.spec != checkpoint.recipe.spec:
        raise UsageError(
            f"{bundle.folder} is of another spec than these weights; export the model without `weights_only`"
        )

    def place(graph: Graph, path: Path) -> None:
        files.copy(bundle.described(graph.name).file, path.parent)
        exporter.link(path, path.with_name(WEIGHTS), {})

    with staged_folder(bundle.folder, replaces=BUNDLE) as staging:
        save_checkpoint(checkpoint.model, checkpoint.recipe, staging / WEIGHTS)
        placed = {FULL: _placed(checkpoint.model.graphs(bundle.graphs), exporter, staging, place, observe)}
        return _completed(staging, checkpoint, exporter, bundle.manifest.exporter, origin, placed, layout=layout)


def _data(checkpoint: Checkpoint, precisions: Sequence[Precision]) -> Data | None:
    """Return the data to judge and measure on, None if they cannot be read and no precision needs calibration."""
    try:
        return Data.load(checkpoint.model, checkpoint.recipe, checkpoint.model.plugins)
    except ZooError as error:
        if any(precision.calibrated for precision in precisions):
            raise
        _log.warning("files of fewer bits are judged only on drawn cases, and no metric is measured: %s", error)
        return None


def _placed(
    graphs: Sequence[Graph],
    exporter: Exporter,
    folder: Path,
    place: Callable[[Graph, Path], None],
    observe: Callable[[Verdict], None] | None,
) -> list[Placed]:
    """Let ``place`` put each graph into the folder, and judge it there."""
    found = []
    for graph in graphs:
        path = folder / f"{graph.name}{exporter.suffix}"
        cases = make_cases(graph)  # reports, before tracing, a module that torch itself cannot run at some size
        place(graph, path)
        explain = functools.partial(exporter.first_fault, graph, path) if isinstance(exporter, FindsFault) else None
        verdict = judge(graph, cases, *opened_twice(graph, path, exporter), explain=explain)
        if verdict.by_rounding:  # another machine may miss the tolerance in a row that passed here by luck
            cases = [by_rounding(graph, case) for case in cases]
        found.append(Placed(graph, path, cases, verdict))
        _tell(found[-1:], observe)
    return found


def _tell(placed: Iterable[Placed], observe: Callable[[Verdict], None] | None) -> None:
    if observe is not None:
        for one in placed:
            observe(replace(one.verdict, graph=one.name))


def _completed(
    folder: Path,
    checkpoint: Checkpoint,
    exporter: Exporter,
    exporter_name: str,
    origin: Origin,
    placed: Mapping[str, Sequence[Placed]],
    found: Mapping[str, Worth] = MappingProxyType({}),
    layout: Arranged | None = None,
) -> Manifest:
    """Write everything except the graphs and weights of a bundle, and return its manifest."""
    model = checkpoint.model
    files: dict[Graph, dict[str, JudgedFile]] = {one.graph: {} for one in placed[FULL]}
    for precision, of_precision in placed.items():
        for one in of_precision:
            files[one.graph][precision] = one.judged()
    manifest = Manifest(
        origin,
        {graph.name: GraphRecord.of(graph, judged) for graph, judged in files.items()},
        checkpoint.sha256,
        exporter_name,
        versions={"modalzoo": __version__, **exporter.versions()},
        precisions=found,
        recommended=recommended(found) if found else "",
        lost=tuple(losses(found)) if found else (),
    )
    every = [one for precision in placed.values() for one in precision]
    if isinstance(exporter, Stamps):
        for one in every:
            exporter.stamp(one.path, facts(one.graph.name, one.verdict, checkpoint, manifest))
    (folder / "reference.safetensors").write_bytes(
        save({key: array for one in every for key, array in reference(one.name, one.cases).items()})
    )
    (folder / "state.safetensors").write_bytes(save(modality_arrays(model.modalities)))
    spec = json_text(recipe_json(checkpoint.recipe), indent=1) + "\n"
    (folder / "spec.json").write_text(spec, encoding="utf-8")
    (folder / "README.md").write_text(card(model, manifest, _precisions(placed, found)), encoding="utf-8")
    manifest = manifest.write(folder)
    return manifest if layout is None else layout.add_to(folder, manifest)


def _precisions(placed: Mapping[str, Sequence[Placed]], found: Mapping[str, Worth]) -> Sequence[str]:
    """Return the card's text about the precisions beside float32, if there are any."""
    alone = [one.graph.name for precision in placed.values() for one in precision if one.drawn_alone]
    return table(found, dict.fromkeys(alone)) if found else ()
