"""``python -m benchmarks.parity docs/runtimes.md [ENTRY...]``: judge every graph on every runtime, write the table.

A graph is written by the exporter of each runtime and judged on the same cases as ``zoo export`` does. A cell is the
largest share of the tolerance that a case used. Rows of entries that are not named stay as they are in the page.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.inference import MOST_GRAPHS
from zoo.catalogue.registry import entries
from zoo.catalogue.targets import fetch_entry
from zoo.discovery.components import make_exporter
from zoo.discovery.plugins import installed
from zoo.errors import ZooError
from zoo.exporting.judging import Case, judge, make_cases
from zoo.files.store import staged_file
from zoo.models.checkpoint import load
from zoo.recipes.naming import raw_name

if TYPE_CHECKING:
    from zoo import Exporter, Graph

# The exporters by the runtime that runs their files.
RUNTIMES = {"onnxruntime": "onnx", "OpenVINO": "openvino"}
BEGIN, END = "<!-- parity: python -m benchmarks.parity docs/runtimes.md -->\n", "<!-- end of parity -->"


@click.command("parity")
@click.argument("page", type=click.Path(path_type=Path, exists=True))
@click.argument("names", metavar="[ENTRY]...", nargs=-1)
def command(page: Path, names: Sequence[str]) -> None:
    """Judge the graphs of each ENTRY (of all if none is named) on every runtime, and write the table of PAGE."""
    known = entries(installed())
    text = page.read_text()
    for name in sorted(names or known):
        rows = [(name, graph, *shares) for graph, shares in _judged(name)]
        text = with_rows(text, name, rows)
        with staged_file(page) as staging:
            staging.write_text(text)


def with_rows(page: str, name: str, rows: Sequence[Sequence[str]]) -> str:
    """Return the page with these rows of one entry in its table, in place of those that it had."""
    before, rest = page.split(BEGIN)
    table, after = rest.split(END)
    kept = [line for line in table.splitlines()[2:] if line and not line.startswith(f"| {name} |")]
    made = [f"| {' | '.join(row)} |" for row in rows]
    header = [f"| entry | graph | {' | '.join(RUNTIMES)} |", "|---" * (2 + len(RUNTIMES)) + "|"]
    lines = [*header, *sorted([*kept, *made], key=lambda line: line.split(" | ")[0])]
    return before + BEGIN + "\n".join(lines) + "\n" + END + after


def _judged(name: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each graph of an entry, or each kind of many, with what came of it on each runtime."""
    exporters = [make_exporter(exporter, installed()) for exporter in RUNTIMES.values()]
    graphs = load(fetch_entry(entries(installed())[name], installed())).model.graphs()
    alike: dict[str, list[list[float | str]]] = {}
    for graph in graphs:
        cases = make_cases(graph)
        shares = [_share(graph, cases, exporter) for exporter in exporters]
        click.echo(f"{name} {graph.name}: {', '.join(map(_shown, shares))}", err=True)
        key = graph.name if len(graphs) <= MOST_GRAPHS else _kind(graph)
        alike.setdefault(key, []).append(shares)
    for key, rows in alike.items():
        yield (
            f"`{key}`" + (f", worst of {len(rows)}" if len(rows) > 1 else ""),
            [_worst(shares) for shares in zip(*rows, strict=True)],
        )


def _kind(graph: Graph) -> str:
    kind = f"{graph.kind}_…" if graph.source or graph.target else graph.kind
    return raw_name(kind) if graph.raw else kind


def _worst(shares: Sequence[float | str]) -> str:
    refused = [share for share in shares if isinstance(share, str)]
    return refused[0] if refused else _shown(max(shares))


def _shown(share: float | str) -> str:
    return share if isinstance(share, str) else f"{share:.0%}"


def _share(graph: Graph, cases: Sequence[Case], exporter: Exporter) -> float | str:
    """Return the largest share of the tolerance that a case used, or why the graph is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"graph{exporter.suffix}"
        try:
            exporter.write(graph, path)
            return judge(graph, cases, exporter.open(graph, path), exporter.open(graph, path)).worst.used
        except ZooError as error:
            return f"refused: {_brief(str(error))}"


def _brief(message: str) -> str:
    """Return how far an answer lay off, where a message tells, or its first part."""
    found = re.search(r"differs from float64 by \S+, allowed is [^\s;]+", message)
    return found.group() if found else message.split(";")[0]


if __name__ == "__main__":
    command()
