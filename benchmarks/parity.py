"""``python -m benchmarks.parity docs/runtimes.md [ENTRY...]``: judge every graph on every runtime, write the table.

A graph is written by the exporter of each runtime and judged on the same cases as ``zoo export`` does. A cell is the
largest share of the tolerance that a case used. Rows of entries that are not named stay as they are in the page.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.inference import MOST_GRAPHS
from zoo.plugins import installed
from zoo.registry import entries
from zoo.store import staged_file
from zoo.targets import fetch_entry

if TYPE_CHECKING:
    from zoo import Exporter, Graph

# The exporters by the runtime that runs their files.
RUNTIMES = {"onnxruntime": "onnx", "OpenVINO": "openvino"}
BEGIN, END = "<!-- parity: python -m benchmarks.parity docs/runtimes.md -->\n", "<!-- end of parity -->"


@click.command("parity")
@click.argument("page", type=click.Path(path_type=Path, exists=True))
@click.argument("names", metavar="[ENTRY]...", nargs=-1)
def command(page: Path, names: Sequence[str]) -> None:
    """Judge the graphs of each ENTRY, of all where none is named, on every runtime, and write the table of PAGE."""
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
    """Yield each graph of an entry, with what came of it on each runtime."""
    from zoo import load

    model = load(fetch_entry(entries(installed())[name])).model
    for graph, alike in kinds(model.graphs()):
        shares = _shares(graph)
        click.echo(f"{name} {graph.name}: {', '.join(shares)}", err=True)
        yield f"`{graph.name}`" + (f", one of {alike}" if alike > 1 else ""), shares


def kinds(graphs: Iterable[Graph]) -> Iterator[tuple[Graph, int]]:
    """Yield the graphs that are judged, with the number of those that each stands for."""
    graphs = list(graphs)
    if len(graphs) <= MOST_GRAPHS:
        yield from ((graph, 1) for graph in graphs)
        return
    count = Counter(map(_kind, graphs))
    last = {_kind(graph): graph for graph in graphs}
    yield from ((graph, count[kind]) for kind, graph in last.items())


def _kind(graph: Graph) -> str:
    return graph.name.partition("_")[0] + (".raw" if graph.name.endswith(".raw") else "")


def _shares(graph: Graph) -> list[str]:
    from zoo.components import make_exporter
    from zoo.judging import make_cases

    cases = make_cases(graph)
    return [_share(graph, cases, make_exporter(exporter, installed())) for exporter in RUNTIMES.values()]


def _share(graph: Graph, cases: Sequence[Mapping[str, object]], exporter: Exporter) -> str:
    from zoo import ZooError
    from zoo.judging import judge

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"graph{exporter.suffix}"
        try:
            exporter.write(graph, path)
            used = judge(graph, cases, exporter.open(graph, path), exporter.open(graph, path)).worst.used
        except ZooError as error:
            return f"refused: {_brief(str(error))}"
    return f"{used:.0%}"


def _brief(message: str) -> str:
    """Return how far an answer lay off, where a message tells, or its first part."""
    found = re.search(r"differs from float64 by \S+, allowed is [^\s;]+", message)
    return found.group() if found else message.split(";")[0]


if __name__ == "__main__":
    command()
