"""``zoo run``."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.output import note, print_json, print_lines
from zoo.cli.serving import serving_options
from zoo.errors import DataError, UsageError
from zoo.places import MANIFEST, OUTPUTS, outputs_in, replaceable
from zoo.store import staged_folder
from zoo.tables import SCHEMA

if TYPE_CHECKING:
    from zoo.protocols import Array
    from zoo.runtime import Bundle


@click.command("run")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("graph")
@click.option(
    "-i", "inputs", multiple=True, metavar="NAME=VALUE", help="A text, a file's path or an .npy; again for more rows."
)
@serving_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A folder for the outputs: arrays, and what was decoded as pictures and sounds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outputs as an object of nested lists.")
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
    from zoo.runtime import open_bundle
    from zoo.runtime.batching import filled

    if out is not None:
        replaceable(out, OUTPUTS)
    opened = open_bundle(bundle, provider=provider, threads=threads, precision=precision)
    arrays = opened.arrays(graph, parse_inputs(inputs))
    outputs = opened.run_arrays(graph, arrays)
    session = opened.graph(graph)
    for axis, rows in filled(arrays, session).items():
        most = f"{session.axes[axis].largest} places of {axis}"
        note(
            f"{rows} of the rows fill all {most}, the most that the graph takes; of a longer value the end is not read"
        )
    if out is not None:
        write_outputs(opened, graph, outputs, out)
    if as_json:
        print_json({name: array.tolist() for name, array in outputs.items()})
    else:
        for name, array in outputs.items():
            first = ", ".join(f"{value:.4g}" for value in array.reshape(-1)[:6])
            print_lines([f"{name}  {array.dtype} {array.shape}  {first}{', …' if array.size > 6 else ''}"])


def parse_inputs(assignments: tuple[str, ...]) -> dict[str, Any]:
    """Return the values by name; a name that comes again adds a row, an ``.npy`` file is an array."""
    values: dict[str, Any] = defaultdict(list)
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise UsageError(f"-i {assignment}: expected NAME=VALUE, as in -i caption='red heart'")
        if value.endswith(".npy"):
            import numpy as np

            try:
                values[name] = np.load(value, allow_pickle=False)
            except (OSError, ValueError) as error:
                raise DataError(f"-i {assignment}: {value} cannot be read as an array: {error}") from error
        else:
            values[name].append(value)
    return values


def write_outputs(bundle: Bundle, graph: str, outputs: dict[str, Array], folder: Path) -> None:
    """Write each output as ``.npy``, and what a decoder made as values for a person.

    They take the place of what an earlier run of the same graph left in the folder.
    """
    with staged_folder(folder, replaces=OUTPUTS) as staging:
        _write(bundle, graph, outputs, staging)
        written = {graph: sorted(path.name for path in staging.iterdir())}
        for other, names in outputs_in(folder).items():
            kept = [name for name in names if (folder / name).is_file() and not (staging / name).exists()]
            for name in kept if other != graph else ():
                shutil.copy2(folder / name, staging / name)
                written.setdefault(other, []).append(name)
        described = {"schema": SCHEMA, "kind": "outputs", "graphs": written}
        (staging / MANIFEST).write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    note(f"wrote {len(written[graph])} files to {folder}")


def _write(bundle: Bundle, graph: str, outputs: dict[str, Array], folder: Path) -> None:
    import numpy as np

    from zoo.offers import WritesFiles

    for name, array in outputs.items():
        np.save(folder / f"{name}.npy", array)
    verb, _, of = graph.partition("_")
    if verb in ("decode", "reconstruct", "translate"):
        modality = bundle.modality(of.rpartition("_to_")[2] if verb == "translate" else of)
        values = modality.from_arrays({name.removeprefix(f"{graph}."): array for name, array in outputs.items()})
        for number, value in enumerate(values):
            modality.draw(value).save(folder / f"{graph}-{number}.png")
            if isinstance(modality, WritesFiles):
                modality.write(value, folder / f"{graph}-{number}{modality.suffix}")
