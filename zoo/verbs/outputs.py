"""Writes a graph's outputs as files: arrays, and decoded values as pictures, sounds and the like."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError
from zoo.files.exclusive import sole_writer
from zoo.files.replacing import MANIFEST, OUTPUTS, outputs_in
from zoo.files.store import staged_folder
from zoo.recipes.arguments import checked
from zoo.recipes.tables import SCHEMA, json_text
from zoo.verbs.texts import plain

if TYPE_CHECKING:
    from zoo.protocols import Array
    from zoo.runtime.bundle import Bundle


@dataclass(frozen=True, repr=False)
class Written:
    """The files of one graph in a folder, and the values for a person that some of them hold, one per row."""

    folder: Path
    files: tuple[str, ...]
    values: list[Any]

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        return plain(f"{self.folder}: {', '.join(self.files)}")


@checked
def write_outputs(bundle: Bundle, graph: str, outputs: Mapping[str, Array], folder: Path | str) -> Written:
    """Write each output of a graph as ``.npy``, and what a decoder made as a picture and, if it has one, its own file.

    They replace the outputs of an earlier run of the same graph in the folder. ``outputs`` are the result of
    ``bundle.run(graph, …)``.

    Raises UsageError if anything except such outputs lies in the folder, or if an output is not one of the graph's.
    """
    folder, known = Path(folder), bundle.described(graph).outputs
    if strangers := [name for name in outputs if name not in known]:
        raise UsageError(f"the graph {graph!r} has no output {strangers[0]!r}; it gives {', '.join(known)}")
    with sole_writer(folder, OUTPUTS.command, waits=True), staged_folder(folder, replaces=OUTPUTS) as staging:
        values = _write(bundle, graph, outputs, staging)
        written = {graph: sorted(path.name for path in staging.iterdir())}
        for other, names in outputs_in(folder).items():
            kept = [name for name in names if (folder / name).is_file() and not (staging / name).exists()]
            for name in kept if other != graph else ():
                shutil.copy2(folder / name, staging / name)
                written.setdefault(other, []).append(name)
        described = {"schema": SCHEMA, "kind": "outputs", "graphs": written}
        (staging / MANIFEST).write_text(json_text(described, indent=1) + "\n", encoding="utf-8")
    return Written(folder, tuple(written[graph]), values)


def _write(bundle: Bundle, graph: str, outputs: Mapping[str, Array], folder: Path) -> list[Any]:
    import numpy as np

    from zoo.offers import WritesFiles

    for name, array in outputs.items():
        np.save(folder / f"{name}.npy", array)
    values = bundle.values(outputs)
    for number, value in enumerate(values):
        modality = bundle.modality(bundle.decoded_input(outputs))
        modality.draw(value).save(folder / f"{graph}-{number}.png")
        if isinstance(modality, WritesFiles):
            modality.write(value, folder / f"{graph}-{number}{modality.suffix}")
    return values
