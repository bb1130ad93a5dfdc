"""The manifest of a bundle: it binds every file by its hash, and itself by a seal."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import IntegrityError, NotFoundError, UsageError
from zoo.store import verify
from zoo.tables import SCHEMA

_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_SEAL = "sha256"


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with the sha256 of all else that it holds."""
    rest = {key: value for key, value in content.items() if key != _SEAL}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return {**rest, _SEAL: hashlib.sha256(canonical.encode()).hexdigest()}


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of the bundle in ``folder`` and compare every file with it.

    Raises NotFoundError where it is no bundle, UsageError where a newer modalzoo wrote it, IntegrityError where the
    manifest or a file is damaged, missing or changed.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise NotFoundError(f"{folder} is no bundle: it lacks manifest.json; name a folder that `zoo export` wrote")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text())
        schema, graphs = manifest["schema"], manifest["graphs"]
        files = {name: dict(digest) for name, digest in manifest["files"].items()}
        graph_files = [str(graph["file"]) for graph in graphs.values()]
        named = [*graphs, *(name for graph in graphs.values() for way in ("inputs", "outputs") for name in graph[way])]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(f"{path} is damaged ({error!r}); export the model again") from error
    if not isinstance(schema, int) or schema > SCHEMA:
        raise UsageError(f"{path} has schema {schema}, this modalzoo reads up to {SCHEMA}; upgrade modalzoo")
    for name in [*files, *graph_files]:
        if Path(name).name != name or name not in files:
            raise IntegrityError(
                f"{path} names the file {name!r}, which its own list does not bind; export the model again"
            )
    for name in named:
        if not _NAME.fullmatch(name):
            raise IntegrityError(f"{path} names a graph or tensor {name!r}, which is no name; do not use this bundle")
    expected = sealed(manifest)[_SEAL]
    if manifest.get(_SEAL) != expected:
        raise IntegrityError(
            f"{path} was changed after the export: expected content with sha256 {manifest.get(_SEAL)}, "
            f"found {expected}; copy or export the bundle again"
        )
    verify(folder, files)
    return manifest
