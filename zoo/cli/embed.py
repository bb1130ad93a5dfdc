"""``zoo embed``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from zoo.cli.output import note, print_exactly, print_json
from zoo.cli.serving import note_truncated, serving_options


@click.command("embed")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("graph")
@click.option(
    "--input",
    "source",
    type=click.Path(path_type=Path),
    required=True,
    help="A .txt with a value per line, a .csv with a column per input, a .jsonl with an object per line, or a folder.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A folder for shards, or one file .npy.")
@click.option("--name", default="", help="The input that the values belong to, if the graph has several.")
@click.option("--output", default="", help="The output to write, if the graph has several vectors.")
@click.option("--skip-bad", is_flag=True, help="Leave out rows that cannot be read, and list them.")
@click.option("--shard-rows", default=65_536, show_default=True, type=click.IntRange(1), help="Rows per shard.")
@click.option(
    "--batch-rows", default=64, show_default=True, type=click.IntRange(1), help="Rows that are computed at a time."
)
@serving_options
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def command(
    bundle: Path,
    graph: str,
    source: Path,
    out: Path,
    name: str,
    output: str,
    skip_bad: bool,
    shard_rows: int,
    batch_rows: int,
    provider: str,
    precision: str,
    threads: int,
    as_json: bool,
) -> None:
    """Embed the rows of a file, or the files of a folder, one vector each.

    An interrupted run continues if the same command is given again. The path of the vectors is printed. A file beside
    them says which row each vector belongs to.
    """
    from zoo.runtime.bundle import open_bundle
    from zoo.runtime.ends import inputs_of
    from zoo.verbs.embed import embed

    opened = open_bundle(bundle, provider=provider, precision=precision, threads=threads)
    start = time.monotonic()
    made = embed(
        opened,
        graph,
        source,
        out,
        name=name,
        output=output,
        shard_rows=shard_rows,
        batch_rows=batch_rows,
        skip_bad=skip_bad,
    )
    took_s = time.monotonic() - start
    if as_json:
        counts = {"rows": made.rows, "skipped": made.skipped, "before": made.before}
        told = {"truncated": made.truncated, "left_out": list(made.left_out)}
        print_json({"path": str(made.path), **counts, **told})
    else:
        print_exactly(made.path)
    new = made.count - made.before
    note(
        f"{made.rows} vectors"
        + (f", {made.before} rows were there already" if made.before else "")
        + (f", {new / took_s:.0f} rows/s" if new else "")
    )
    note_truncated(made.truncated, dict.fromkeys(inputs_of(opened, graph), made.rows))
    if made.skipped:
        note(f"rows that cannot be read: {made.skipped}, skipped; {made.skipped_in} lists them with the reasons")
