"""``zoo list``."""

import re

import click

from zoo.catalogue.facts import size
from zoo.catalogue.registry import SORT_KEYS, entries, filtered
from zoo.cli.output import print_json, print_table
from zoo.discovery.plugins import installed
from zoo.errors import UsageError

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}


@click.command("list")
@click.option("--modality", help="Only entries with an input of this modality.")
@click.option("--objective", help="Only entries with this objective.")
@click.option("--license", "license_name", help="Only entries whose weights have this licence.")
@click.option("--max-size", help="Only entries whose weights are at most this large, as in 20MB.")
@click.option("--sort", type=click.Choice(SORT_KEYS), default="name", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def command(
    modality: str | None,
    objective: str | None,
    license_name: str | None,
    max_size: str | None,
    sort: str,
    as_json: bool,
) -> None:
    """List the entries of the registry."""
    found = filtered(
        entries(installed()).values(),
        modality=modality,
        objective=objective,
        license=license_name,
        max_size_bytes=None if max_size is None else parse_size(max_size),
        sort=sort,
    )
    if as_json:
        print_json([entry.listed() for entry in found])
        return
    print_table(
        ("NAME", "OBJECTIVE", "MODALITIES", "SIZE", "LICENSE", "SUMMARY"),
        [
            (
                e.name,
                e.recipe.spec.objective.name,
                ", ".join(e.recipe.spec.modalities),
                size(e.size_bytes),
                e.license,
                e.summary,
            )
            for e in found
        ],
    )


def parse_size(text: str) -> int:
    """Return the bytes of a size such as ``20MB``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?b?)", text.strip().casefold())
    unit = match.group(2) if match else ""
    if match is None or float(match.group(1)) == float("inf") or (unit and unit.rstrip("b") + "b" not in _UNITS):
        raise UsageError(f"--max-size takes a number with B, kB, MB or GB, as in 20MB; got {text!r}")
    return int(float(match.group(1)) * _UNITS[unit.rstrip("b") + "b" if unit else ""])
