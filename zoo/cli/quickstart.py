"""``zoo quickstart``."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from zoo.catalogue.facts import size
from zoo.catalogue.registry import entries
from zoo.cli.output import note, print_exactly, print_lines, print_table
from zoo.discovery.plugins import installed
from zoo.files.replacing import BUNDLE, MANIFEST, QUICKSTART, RUN, fillable, replaceable
from zoo.files.store import remove_folder, staged_file
from zoo.recipes.tables import SCHEMA
from zoo.verbs.progress import progress_bar


@click.command("quickstart")
@click.option("--out", type=click.Path(path_type=Path), default=Path("quickstart"), show_default=True)
def command(out: Path) -> None:
    """Show the whole workflow in two minutes, on real data, with a page of pictures at the end."""
    from zoo.quickstart.line import (
        PICTURE_ENTRY,
        PICTURES,
        SEARCH_ENTRY,
        export_entries,
        serve_without_torch,
        train_shortly,
    )
    from zoo.quickstart.page import write_page

    fillable(out, QUICKSTART)
    for entry in (SEARCH_ENTRY, PICTURE_ENTRY):
        replaceable(out / entry, BUNDLE)
    remove_folder(out / "run", RUN)
    with staged_file(out / MANIFEST) as staging:
        staging.write_text(json.dumps({"schema": SCHEMA, "kind": "quickstart"}) + "\n")
    start = time.perf_counter()
    plugins = installed()

    note("1. The entries of the zoo")
    listed = [
        (e.name, ", ".join(e.recipe.spec.modalities), size(e.size_bytes), e.summary) for e in entries(plugins).values()
    ]
    print_table(("NAME", "MODALITIES", "SIZE", "SUMMARY"), listed)

    note("")
    note("2. Train a search over emoji for a short while, from scratch")
    with progress_bar("training") as advance:
        training = train_shortly(out / "run", plugins, advance)
    rows = [(step, *(f"{value:.1%}" for value in found.values())) for step, found in training.recalls]
    print_table(("STEP", *(f"RECALL@10 {language}" for language in training.recalls[0][1])), rows)
    print_exactly(f"by chance {training.chance:.1%}; measured on emoji that training did not see")

    note("")
    note("3. Fetch the trained entries, export them to ONNX, judge them against torch")
    with progress_bar("exporting") as advance:
        manifests = export_entries(out, plugins, advance)
    judged = [
        (name, graph, record.parity.cases, f"{record.parity.used:.0%}", f"{record.parity.max_abs_error:.1e}")
        for name, manifest in manifests.items()
        for graph, record in manifest.graphs.items()
    ]
    print_table(("ENTRY", "GRAPH", "CASES", "TOLERANCE USED", "LARGEST ERROR"), judged)

    note("")
    note("4. Search and reconstruct on onnxruntime, in a process without torch")
    served = serve_without_torch(out)
    print_lines(
        f"{answer['query']}: {'  '.join(hit['emoji'] + ' ' + hit['name'] for hit in answer['hits'][:4])}"
        for answer in served["answers"]
    )
    print_exactly(f"torch imported: {'yes' if served['torch_imported'] else 'no'}")

    page = out / "index.html"
    write_page(page, out / PICTURES, training, manifests, served)
    note("")
    note(f"The page with the pictures, after {time.perf_counter() - start:.0f} s:")
    print_exactly(page.resolve())
