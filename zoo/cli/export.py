"""``zoo export``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.output import note, print_exactly, print_json
from zoo.parity.precisions import PRECISIONS

if TYPE_CHECKING:
    from zoo.exporting.judging import Verdict


@click.command("export")
@click.argument("source", metavar="NAME|CHECKPOINT")
@click.option("--to", default="onnx", show_default=True, help="The exporter.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="The bundle's folder; a bundle there is replaced as a whole.",
)
@click.option("--graph", "graphs", multiple=True, help="Only this graph; may be given again.")
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    help=f"Also in one of {', '.join(PRECISIONS)}, measured on the entry's data; may be repeated.",
)
@click.option("--layout", help="Add the files of a layout, such as web, a static page.")
@click.option("--single-file", is_flag=True, help="Keep the weights inside each graph's file.")
@click.option(
    "--weights-only", is_flag=True, help="Put these weights into the bundle at --out; its graphs stay unchanged."
)
@click.option("--last", is_flag=True, help="Of a run: the newest checkpoint instead of the best.")
@click.option("--json", "as_json", is_flag=True, help="Print the bundle's manifest.")
def command(
    source: str,
    to: str,
    out: Path,
    graphs: tuple[str, ...],
    precisions: tuple[str, ...],
    layout: str | None,
    single_file: bool,
    weights_only: bool,
    last: bool,
    as_json: bool,
) -> None:
    """Export a model as a bundle, judged against torch.

    If a graph does not compute the same as torch, the export ends with exit code 4, and no bundle is written.
    """
    from zoo.verbs.export import export

    bundle = export(
        source,
        out,
        to=to,
        graphs=graphs,
        precisions=precisions,
        layout=layout or "",
        single_file=single_file,
        weights_only=weights_only,
        last=last,
        observe=_note,
    )
    for sentence in bundle.manifest.lost:
        note(f"{sentence}; it is not recommended")
    if as_json:
        print_json(bundle.manifest.written())
    else:
        print_exactly(out)


def _note(verdict: "Verdict") -> None:
    worst = verdict.worst
    note(f"{verdict.graph}: {verdict.cases} cases agree with torch, at most {worst.used:.0%} of the tolerance used")
