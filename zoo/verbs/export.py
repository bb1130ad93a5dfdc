"""Exports a model as a bundle; each of its graphs was judged against torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.catalogue.registry import RegistryEntry
from zoo.catalogue.targets import Target
from zoo.discovery.plugins import Plugins, installed
from zoo.errors import UsageError
from zoo.files.replacing import BUNDLE, replaceable
from zoo.parity.precisions import FULL
from zoo.protocols import Progress
from zoo.reading.lists import listed
from zoo.recipes.arguments import checked
from zoo.runtime.records import Origin
from zoo.verbs.progress import told
from zoo.verbs.sources import Opened, opened

if TYPE_CHECKING:  # importing torch takes seconds, and wrong names are reported before it
    from zoo.exporting.judging import Verdict
    from zoo.models.checkpoint import Checkpoint
    from zoo.runtime.bundle import Bundle


@checked
def export(
    source: str | os.PathLike[str] | RegistryEntry | Target | Checkpoint,
    out: Path | str,
    *,
    to: str = "onnx",
    graphs: Sequence[str] = (),
    precisions: Sequence[str] = (),
    layout: str = "",
    single_file: bool = False,
    weights_only: bool = False,
    last: bool = False,
    origin: Origin | None = None,
    progress: Progress | None = None,
    observe: Callable[[Verdict], None] | None = None,
    plugins: Plugins | None = None,
) -> Bundle:
    """Export the graphs of a model, all or those named, as a bundle in the folder ``out``, and open it.

    The model is a Checkpoint, or that of an entry (or its name), of a run's folder or of a checkpoint file. A bundle at
    ``out`` is replaced as a whole. If a run watched a metric, its best checkpoint is exported, or with ``last`` its
    newest. ``to`` names the exporter, ``precisions`` the ones to write beside float32 and to measure on the recipe's
    data, ``layout`` files to add, such as ``web``, a page that searches in the browser. With ``single_file`` each graph
    holds its own copy of its weights; with ``weights_only`` these weights go into the bundle at ``out``, whose graphs
    stay unchanged. ``origin`` says where the weights come from; that of an entry is known. ``progress`` is called with
    the number of graphs judged and their total, ``observe`` with each verdict.

    Raises UnknownNameError with the nearest name; UsageError if anything except a bundle lies at ``out``, or other
    files are in that bundle; ParityError if a graph does not compute the same as torch. ``out`` is then unchanged.
    """
    if weights_only and (graphs or precisions or layout or single_file):
        raise UsageError("`weights_only` keeps the graphs of the bundle; it can be combined only with `out`")
    out, plugins = Path(out), plugins or installed()
    replaceable(out, BUNDLE)  # before anything is fetched
    with told(progress, "exporting") as advance:
        model = opened(source, plugins, advance, last=last)
        from zoo.discovery.components import make_exporter
        from zoo.exporting.bundle import export as export_graphs, renew
        from zoo.exporting.layouts import arranged
        from zoo.runtime.bundle import open_bundle

        checkpoint, origin = model.checkpoint, origin or _origin(model, out)
        kept = open_bundle(out) if weights_only else None
        names = graphs if kept is None else kept.graphs
        judged, total = 0, len(checkpoint.model.graphs(names)) * len({FULL, *listed(precisions, "precisions")})

        def verdict_found(verdict: Verdict) -> None:
            nonlocal judged
            judged += 1
            advance(judged, max(judged, total), verdict.graph)
            if observe is not None:
                observe(verdict)

        if kept is not None:
            exporter = make_exporter(kept.manifest.exporter, plugins)
            layout = kept.manifest.layout or ""
            added = arranged(layout, checkpoint.recipe, plugins) if layout else None
            renew(checkpoint, exporter, kept, origin=origin, layout=added, observe=verdict_found)
        else:
            export_graphs(
                checkpoint,
                make_exporter(to, plugins),
                out,
                origin=origin,
                exporter_name=to,
                graphs=graphs,
                precisions=precisions,
                layout=arranged(layout, checkpoint.recipe, plugins) if layout else None,
                single_file=single_file,
                observe=verdict_found,
            )
    return open_bundle(out)


def _origin(model: Opened, out: Path) -> Origin:
    if model.entry is not None:
        return Origin(model.name, model.entry.license, model.entry.data_license, model.entry.revision)
    return Origin(model.name or out.resolve().name)
