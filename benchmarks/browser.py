"""Parity of bundles on onnxruntime and in a browser: ``python -m benchmarks.browser FOLDER...``.

Each FOLDER is a bundle exported with ``--layout web``. Prints a table of Markdown; `docs/runtimes.md` holds one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from zoo.runtime import open_bundle, replay


@click.command("browser")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def command(folders: Sequence[Path]) -> None:
    """Judge the bundles in FOLDERS again on each runtime; exit with 4 where the browser gives other answers."""
    click.echo("| entry | files | onnxruntime | onnxruntime-web |\n|---|---|---|---|")
    missed: list[str] = []
    for folder in folders:
        native = {name: compared.used for name, (_, compared) in replay(open_bundle(folder)).items()}
        web = dict(_in_browser(folder, missed))
        click.echo(f"| {folder.name} | {len(native)} | {_worst(native)} | {_worst(web)} |")
    for said in missed:
        click.echo(said, err=True)
    sys.exit(4 if missed else 0)


def _in_browser(folder: Path, missed: list[str]) -> Iterator[tuple[str, float]]:
    from zoo_web.checking import check_in_browser

    for row in check_in_browser(folder):
        yield row.graph, row.used
        if not row.passed:
            missed.append(f"{folder.name}: {row.said}")


def _worst(used: dict[str, float]) -> str:
    name = max(used, key=lambda key: used[key])
    return f"{used[name]:.0%} (`{name}`)"


if __name__ == "__main__":
    command()
