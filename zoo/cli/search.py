"""``zoo search``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli.output import note, print_json, print_table
from zoo.cli.serving import serving_options


@click.command("search")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("vectors", type=click.Path(path_type=Path))
@click.option("--query", required=True, metavar="VALUE", help="A text, or the path of a file.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1), help="How many rows to find.")
@click.option("--graph", default="", help="The graph that embeds the query, if several could.")
@click.option("--by", type=click.Choice(("cosine", "dot")), default="cosine", show_default=True, help="The score.")
@serving_options
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def command(
    bundle: Path,
    vectors: Path,
    query: str,
    k: int,
    graph: str,
    by: Any,
    provider: str,
    precision: str,
    threads: int,
    as_json: bool,
) -> None:
    """Find the rows whose vectors are nearest to a value's, among those that `zoo embed` wrote."""
    from zoo.runtime.bundle import open_bundle
    from zoo.runtime.vectors import Vectors
    from zoo.verbs.search import HEADER, search

    held = Vectors.open(vectors)
    opened = open_bundle(bundle, provider=provider, precision=precision, threads=threads)
    found = search(opened, held, query, k=k, graph=graph, by=by)
    if found.truncated:
        note("the query is truncated, since the graph reads only its beginning")
    if as_json:
        print_json([{**hit.written(), "query_truncated": found.truncated} for hit in found])
    else:
        print_table(HEADER, found.rows())
