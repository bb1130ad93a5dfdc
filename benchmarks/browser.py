"""Parity of bundles on onnxruntime and in a browser: ``python -m benchmarks.browser FOLDER...``.

Each FOLDER is a bundle exported with ``--layout web``. Prints a table of Markdown; `docs/runtimes.md` holds one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from zoo_web.checking import check_in_browser

from zoo.runtime.bundle import open_bundle
from zoo.runtime.replay import replay


@click.command("browser")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def command(folders: Sequence[Path]) -> None:
    """Judge the bundles in FOLDERS again on each runtime; exit with 4 where the browser gives other answers."""
    click.echo("| entry | files | onnxruntime | onnxruntime-web |\n|---|---|---|---|")
    missed = False
    for folder in folders:
        native = {name: compared.used for name, (_, compared) in replay(open_bundle(folder)).items()}
        rows = check_in_browser(folder)
        wrong = [row for row in rows if not row.passed]
        web = f"misses in `{wrong[0].graph}`" if wrong else _worst({row.graph: row.used for row in rows})
        click.echo(f"| {folder.name} | {len(native)} | {_worst(native)} | {web} |")
        for row in wrong:
            click.echo(f"{folder.name}: {row.said}", err=True)
        missed |= bool(wrong)
    sys.exit(4 if missed else 0)


def _worst(used: dict[str, float]) -> str:
    name = max(used, key=lambda key: used[key])
    return f"{used[name]:.0%} (`{name}`)"


if __name__ == "__main__":
    command()
