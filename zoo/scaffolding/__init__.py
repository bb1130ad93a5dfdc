"""Writes a plugin to start from: a distribution that installs, passes its contracts, trains and exports unchanged.

The files come from the folders of ``templates``, several per kind. ``package`` in a path becomes the plugin's package,
the suffix ``.template`` is removed, and each ``$name`` is filled in.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from string import Template

from zoo.discovery.plugins import Plugins
from zoo.errors import UsageError
from zoo.files.store import staged_folder
from zoo.hookspecs import API_VERSION, __version__

# The folders of each kind. All kinds except modality work on pictures.
_FOLDERS = {
    "modality": ("every", "modality"),
    "encoder": ("every", "pictures", "encoder"),
    "decoder": ("every", "pictures", "decoder"),
    "objective": ("every", "pictures", "objective"),
    "dataset": ("every", "pictures", "dataset"),
    "exporter": ("every", "pictures", "exporter"),
}
KINDS = tuple(_FOLDERS)
_NAME = re.compile(r"(?=.{1,40}$)[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_ENDING = ".template"
_HIDDEN = ("hidden = [128]", "hidden = 128")  # in the plugin for pictures, in the written plugin


def scaffold(kind: str, name: str, folder: Path, *, plugins: Plugins) -> Path:
    """Write the distribution ``modalzoo-NAME`` as a new folder in ``folder``, whole or not at all; return its path.

    Raises UsageError if there is no such kind, if the name is taken or not allowed for a package, or if the path is not
    free.
    """
    if kind not in KINDS:
        raise UsageError(f"plugins to start from are of the kinds {', '.join(KINDS)}; got {kind!r}")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"expected a name of at most 40 small letters, digits and '-' such as 'time-series', came {name!r}"
        )
    if importlib.util.find_spec(_package(name)) or (kind, _registered(kind, name)) in plugins.table:
        raise UsageError(f"an installed plugin has the {kind} or the package of the name {name!r}; choose another name")
    path = folder / f"modalzoo-{name}"
    with staged_folder(path) as staging:
        for file, content in written(kind, name):
            (staging / file).parent.mkdir(parents=True, exist_ok=True)
            (staging / file).write_text(content, encoding="utf-8")
    return path


def written(kind: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the content of each file of a new plugin."""
    major, minor = (int(number) for number in __version__.split(".")[:2])
    package = _package(name)
    known = {
        "name": name,
        "kind": kind,
        "package": package,
        "dataset": name if kind == "dataset" else f"{name}-shapes",
        "objective": name if kind == "objective" else "autoencoder",
        "encoder": f'{{ name = "{name if kind == "encoder" else "mlp"}", {_HIDDEN[kind == "encoder"]} }}',
        "decoder": f'{{ name = "{name if kind == "decoder" else "mlp"}", {_HIDDEN[kind == "decoder"]} }}',
        "exporter": name if kind == "exporter" else "onnx",
        "served": "by the exporter" if kind == "exporter" else "without torch",
        "Class": "".join(part.capitalize() for part in name.split("-")),
        "requires": f">={major}.{minor},<{major}.{minor + 1}",
        "api": str(API_VERSION),
    }
    for folder in _FOLDERS[kind]:
        root = Path(__file__).parent / "templates" / folder
        for path in sorted(root.rglob(f"*{_ENDING}")):
            parts = [package if part == "package" else part for part in path.relative_to(root).parts]
            yield "/".join(parts).removesuffix(_ENDING), Template(path.read_text(encoding="utf-8")).substitute(known)


def _package(name: str) -> str:
    return f"zoo_{name.replace('-', '_')}"


def _registered(kind: str, name: str) -> str:
    return f"image/{name}" if kind in ("encoder", "decoder") else name
