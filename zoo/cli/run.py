"""``zoo run``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.output import note, print_json, print_lines
from zoo.cli.serving import note_truncated, serving_options
from zoo.errors import DataError, UnknownNameError, UsageError
from zoo.files.replacing import OUTPUTS, replaceable
from zoo.verbs.outputs import write_outputs

if TYPE_CHECKING:
    from zoo.protocols import Array
    from zoo.runtime.bundle import Bundle


@click.command("run")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("graph")
@click.option(
    "-i",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A text, a file's path or an .npy; repeat it for more rows.",
)
@serving_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A folder for the outputs: arrays, and decoded values as pictures and sounds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one object: outputs, values, what was truncated.")
def command(
    bundle: Path,
    graph: str,
    inputs: tuple[str, ...],
    provider: str,
    precision: str,
    threads: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run a graph of a bundle on values, without torch."""
    from zoo.runtime.bundle import open_bundle
    from zoo.runtime.ends import inputs_of

    if out is not None:
        replaceable(out, OUTPUTS)
    opened = open_bundle(bundle, provider=provider, threads=threads, precision=precision)
    given = parse_inputs(inputs)
    if not given:
        first, *_ = takes = inputs_of(opened, graph)
        raise UsageError(f"the graph {graph!r} takes {', '.join(takes)}; give a value per row by -i {first}=VALUE")
    prepared = opened.prepared(graph, given)
    outputs = opened.run_arrays(graph, prepared.arrays)
    note_truncated(prepared.truncated, {name: len(values) for name, values in given.items()})
    if out is None:
        values = _values(opened, outputs)
    else:
        written = write_outputs(opened, graph, outputs, out)
        note(f"wrote {len(written.files)} files to {out}")
        values = written.values
    if as_json:
        arrays = {name: array.tolist() for name, array in outputs.items()}
        told = {"values": [_as_json(value) for value in values]} if values else {}
        print_json({**arrays, **told, "truncated": prepared.truncated})
        return
    lines = [f"{name}  {array.dtype} {array.shape}  {_first(array)}" for name, array in outputs.items()]
    lines += [f"{opened.decoded_input(outputs)}[{row}]  {_shown(value)}" for row, value in enumerate(values)]
    print_lines(lines)


def _values(bundle: Bundle, outputs: Mapping[str, Array]) -> list[Any]:
    """Return the decoded values for a person; if that is impossible, return none and note why."""
    try:
        return bundle.values(outputs)
    except (DataError, UnknownNameError) as error:
        note(f"only numbers are shown: {error}")
        return []


def _as_json(value: Any) -> Any:
    """Return a value for a person in JSON: texts and numbers unchanged, pictures and sounds as numbers."""
    import numpy as np

    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, str | int | float | bool | list | dict | None):
        return value
    return np.asarray(value).tolist()


def _shown(value: Any) -> str:
    """Return a value for a person in one line: a text in full, the first of several numbers, the size of a picture."""
    import numpy as np

    known = _as_json(value)
    array = np.asarray(value if isinstance(known, list) else known)
    if isinstance(known, dict) or array.dtype.kind not in "biuf":
        return json.dumps(known, ensure_ascii=False)
    return f"{array.dtype} {array.shape}  {_first(array)}" if array.ndim else str(known)


def _first(array: Array) -> str:
    first = ", ".join(f"{value:.4g}" for value in array.reshape(-1)[:6])
    return f"{first}{', …' if array.size > 6 else ''}"


def parse_inputs(assignments: tuple[str, ...]) -> dict[str, Any]:
    """Return the values by name; a repeated name adds a row, an ``.npy`` file is an array."""
    values: dict[str, Any] = defaultdict(list)
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise UsageError(f"-i {assignment}: expected NAME=VALUE, as in -i caption='red heart'")
        if isinstance(values[name], list) and not value.endswith(".npy"):
            values[name].append(value)
        elif len(values[name]):
            raise UsageError(f"-i {assignment}: {name!r} was given before; one .npy holds all rows of an input")
        else:
            from zoo.reading.npy import read_npy

            try:
                values[name] = read_npy(Path(value))
            except DataError as error:
                raise DataError(f"-i {assignment}: {error}") from error
    return values
