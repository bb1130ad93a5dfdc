"""What may lie at a path that is written to: nothing, an empty folder, or something that the zoo itself wrote.

One decision for all commands and the functions behind them. The zoo recognises its own output by a manifest or a log.
Anything else belongs to somebody else and is left alone. Links are followed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.files.owners import MARK

MANIFEST = "manifest.json"
SOFTWARE = "modalzoo: zoo data"  # written into the pictures that it draws
Belongs = Callable[[str], object]
_STAGING = re.compile(rf"\..*\.staging-{MARK}")
_FIRST_BYTES = 1024


@dataclass(frozen=True)
class Kind:
    """Something that the zoo writes: its name in messages, the command that writes it, and how it is recognised.

    ``belongs`` returns the names in a folder that are part of it, or None if the folder is of another kind. For a kind
    of file, it says whether the file is of this kind. ``folders`` is the kind of the folders inside.
    """

    what: str
    command: str
    belongs: Callable[[Path], Belongs | None]
    folders: Kind | None = None


def _manifest(folder: Path, name: str = MANIFEST) -> dict[str, Any]:
    """Return the content of a manifest, empty if there is none."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads((folder / name).read_text(encoding="utf-8"))
        if isinstance(found, dict) and isinstance(found.get("schema"), int):
            return found
    return {}


def _of_bundle(folder: Path) -> Belongs | None:
    found = _manifest(folder)
    files = found.get("files")
    if isinstance(files, dict) and isinstance(found.get("graphs"), dict) and "sha256" in found:
        return {*files, MANIFEST}.__contains__
    return None


def _of_vectors(folder: Path) -> Belongs | None:
    is_one = _manifest(folder).get("kind") == "vectors"
    return re.compile(r"manifest\.json|vectors-\d+\.npy|(keys|skipped)-\d+\.jsonl").fullmatch if is_one else None


def _of_vectors_file(path: Path) -> Belongs | None:
    is_one = _manifest(path.parent, path.with_suffix(".json").name).get("kind") == "vectors"
    return {path.name}.__contains__ if is_one else None


def _of_outputs(folder: Path) -> Belongs | None:
    is_one = _manifest(folder).get("kind") == "outputs"
    return (
        {MANIFEST, *(name for names in outputs_in(folder).values() for name in names)}.__contains__ if is_one else None
    )


def _of_quickstart(folder: Path) -> Belongs | None:
    is_one = _manifest(folder).get("kind") == "quickstart"
    return (lambda name: True) if is_one else None


def _of_checkpoint(folder: Path) -> Belongs | None:
    is_one = (folder / "state.json").is_file()
    names = {"model.safetensors", "live.safetensors", "optimisers.safetensors", "state.json"}
    return names.__contains__ if is_one else None


def _of_run(folder: Path) -> Belongs | None:
    names = re.compile(
        r"checkpoint-\d+|recipe\.toml|(best|from)\.json|log\.jsonl|\.?skipped\.jsonl(\.lock)?|report\.html"
    )
    is_one = (
        any((path / "state.json").is_file() for path in folder.glob("checkpoint-*") if names.fullmatch(path.name))
        or _is_log(folder / "log.jsonl", "step")
        or _is_log(folder / "skipped.jsonl", "sample")
    )
    return names.fullmatch if is_one else None


def _is_log(path: Path, key: str) -> bool:
    """Return whether a file has lines of JSON with this key, ignoring an unfinished last line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        return all(key in json.loads(line) for line in lines if line.endswith("\n"))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def _drawn(path: Path) -> Belongs | None:
    with suppress(OSError), path.open("rb") as stream:
        return {path.name}.__contains__ if SOFTWARE.encode() in stream.read(_FIRST_BYTES) else None
    return None


BUNDLE = Kind("a bundle", "zoo export", _of_bundle)
CHECKPOINT = Kind("a checkpoint", "zoo train", _of_checkpoint)
RUN = Kind("a run", "zoo train", _of_run, folders=CHECKPOINT)
VECTORS = Kind("vectors", "zoo embed", _of_vectors)
OUTPUTS = Kind("outputs", "zoo run", _of_outputs)
QUICKSTART = Kind("a quickstart", "zoo quickstart", _of_quickstart)
DRAWING = Kind("a drawing", "zoo data", _drawn)
VECTORS_FILE = Kind("vectors", "zoo embed", _of_vectors_file)
_FOLDERS = (BUNDLE, CHECKPOINT, RUN, VECTORS, OUTPUTS, QUICKSTART)


def followed(path: Path) -> Path:
    """Return the place that a path leads to through its links; it need not exist.

    Raises UsageError if they form a loop.
    """
    place = Path(os.path.realpath(path))
    if place.is_symlink():
        raise UsageError(f"{path} is a symbolic link that leads to itself; remove it, or choose another `out`")
    return place


def outputs_in(folder: Path) -> dict[str, list[str]]:
    """Return the files that `zoo run` left in a folder, by graph."""
    found = _manifest(folder)
    graphs = found.get("graphs") if found.get("kind") == "outputs" else None
    return {
        graph: [name for name in names if isinstance(name, str) and Path(name).name == name]
        for graph, names in (graphs if isinstance(graphs, dict) else {}).items()
        if isinstance(names, list)
    }


def replaceable(path: Path, kind: Kind | None) -> Path:
    """Return the path of a folder that may be replaced as a whole, because nothing would be lost.

    Raises UsageError, saying what lies there, unless the path is free, an empty folder, or a folder of this ``kind``
    with nothing else in it.
    """
    place = followed(path)
    if place in _above_here():
        raise UsageError(
            f"{path} is the folder that this command runs in, or one above it, and cannot be replaced; name a folder "
            "inside it by `out`"
        )
    if os.path.ismount(place):
        raise UsageError(f"{path} is a mount point and cannot be replaced; name a folder inside it by `out`")
    fillable(path, kind)
    if kind is not None and place.is_dir():
        check_alone(place, kind, path)
    return place


def fillable(path: Path, kind: Kind | None) -> Path:
    """Return the path of a folder that ``kind`` may write its files into; other files in it are kept.

    Raises UsageError, saying what lies there, unless the path is free, an empty folder, or a folder of this ``kind``.
    """
    place = followed(path)
    nearest = next(part for part in (place, *place.parents) if os.path.lexists(part))
    if not nearest.is_dir():
        named = path if nearest == place else nearest
        raise UsageError(f"{named} is a file, expected a folder; {_advice(kind)}")
    if place.is_dir() and _entries(place) and (kind is None or kind.belongs(place) is None):
        raise UsageError(f"{path} {_described(place)}; {_advice(kind)}")
    return place


def file_place(path: Path, kind: Kind | None = None) -> Path:
    """Return the path of a file that may be written: it is free, or holds a file, of this ``kind`` if given.

    Raises UsageError, saying what lies there, otherwise.
    """
    place = followed(path)
    if place.is_dir():
        raise UsageError(f"{path} is a folder, expected the name of a file; choose another, or remove the folder")
    if kind is not None and os.path.lexists(place) and kind.belongs(place) is None:
        raise UsageError(f"{path} is a file that `{kind.command}` did not write; {_advice(kind)}")
    return place


def check_alone(folder: Path, kind: Kind, path: Path | None = None) -> None:
    """Raise UsageError, naming ``path``, if a folder of this kind holds anything that is not part of it."""
    strangers = sorted(_strangers(folder, kind))
    if strangers:
        raise UsageError(
            f"{path or folder} is {kind.what} that also holds {_counted(strangers)}, which would be lost; move that "
            "elsewhere, or choose another `out`"
        )


def _strangers(folder: Path, kind: Kind) -> Iterator[str]:
    belongs = kind.belongs(folder)
    for path in _entries(folder):
        is_folder = path.is_dir() and not path.is_symlink()
        if belongs is None or not belongs(path.name) or (is_folder and kind.folders is None):
            yield path.name
        elif is_folder and kind.folders is not None:
            yield from (f"{path.name}/{name}" for name in _strangers(path, kind.folders))


def _entries(folder: Path) -> list[Path]:
    """Return the entries of a folder, without unfinished ones that a killed process of the zoo left."""
    return sorted(path for path in folder.iterdir() if not _STAGING.fullmatch(path.name))


def _described(folder: Path) -> str:
    for kind in _FOLDERS:
        if kind.belongs(folder) is not None:
            return f"is {kind.what} that `{kind.command}` wrote"
    return f"holds {_counted([path.name for path in _entries(folder)])}"


def _counted(names: list[str]) -> str:
    first = ", ".join(repr(name) for name in names[:3])
    return first if len(names) <= 3 else f"{first} and {len(names) - 3} more"


def _advice(kind: Kind | None) -> str:
    if kind is None:
        return "choose another place, or remove it"
    return f"`{kind.command}` replaces only {kind.what} that it wrote: choose another `out`, or remove it"


def _above_here() -> tuple[Path, ...]:
    """Return the folder in which this process runs, and all folders above it."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return (Path("/"),)
    return (here, *here.parents)
