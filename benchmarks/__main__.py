"""``python -m benchmarks [NAME...]``: run benchmarks, print one table, exit with 1 where a target is missed."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.measuring import ROUNDS, Comparison

NAMES = (
    "training",
    "objectives",
    "joint",
    "memory",
    "inference",
    "lstm",
    "commands",
    "listing",
    "discovery",
    "opening",
    "embedding",
)
ON_REQUEST = ("contrast", "peers", "runtimes", "compiled", "precisions", "exporting", "reading")
HEADER = ("WHAT", "OURS", "OTHER", "RATIO", "TARGET", "OK")


@click.command("benchmarks")
@click.argument("names", metavar="[NAME]...", nargs=-1, type=click.Choice((*NAMES, *ON_REQUEST)))
@click.option("--rounds", default=ROUNDS, show_default=True, type=click.IntRange(1), help="Rounds of each comparison.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the numbers to this file, too.")
def command(names: Sequence[str], rounds: int, json_path: Path | None) -> None:
    """Run the benchmarks NAME, or without a name those that take minutes and need nothing else.

    Fewer rounds than 9 are a trial only.
    """
    setting = {
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "rounds": rounds,
        "python": platform.python_version(),
    }
    click.echo("  ".join(f"{key} {value}" for key, value in setting.items()), err=True)
    found: list[Comparison] = []
    for name in names or NAMES:
        for comparison in importlib.import_module(f"benchmarks.{name}").measure(rounds):
            found.append(comparison)
            click.echo(f"{len(found)}. {', '.join(_row(comparison))}", err=True)
    click.echo(table(found))
    if json_path is not None:
        rows = [{**asdict(comparison), "ratio": comparison.ratio, "ok": comparison.ok} for comparison in found]
        json_path.write_text(json.dumps({**setting, "comparisons": rows}, indent=1) + "\n")
    sys.exit(0 if all(comparison.ok for comparison in found) else 1)


def table(found: Sequence[Comparison]) -> str:
    """Return aligned lines, numbers to the right."""
    lines = [HEADER, *(_row(comparison) for comparison in found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _row(comparison: Comparison) -> tuple[str, ...]:
    return (
        comparison.what,
        f"{comparison.ours:.4g} {comparison.unit}",
        "-" if comparison.other is None else f"{comparison.other:.4g} {comparison.unit}",
        "-" if comparison.ratio is None else f"{comparison.ratio:.2f}",
        comparison.target,
        "yes" if comparison.ok else "NO",
    )


if __name__ == "__main__":
    command()
