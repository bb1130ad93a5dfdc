"""The manifest of a bundle: it lists the hash of every file, and has a hash of itself as a seal. Read and written here.

A seal only detects damage, since anyone can write one. So the content is checked like any input from a stranger.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from zoo.errors import IntegrityError, NotFoundError, SpecError, UsageError
from zoo.files.bound import BoundFiles, bound_files, is_plain_name, read_bounded
from zoo.files.store import Digest, digest
from zoo.recipes.naming import facts_of
from zoo.recipes.tables import Table, json_text, parse_json
from zoo.runtime.records import GraphRecord, Origin, Worth

MANIFEST, RECIPE = "manifest.json", "spec.json"
SCHEMA = 2
_TELLS = 2  # the first schema that says what each graph does
_SEAL = "sha256"
_LARGEST_BYTES = 16 << 20
# How often a bundle may be replaced while it is opened.
_MOST_TRIES = 20


@dataclass(frozen=True)
class Manifest:
    """A bundle's description of itself.

    ``versions`` are those of the tools that wrote it, by distribution. ``precisions`` describe how good each is, if
    there are any beside float32; ``recommended`` is the one to use, and ``lost`` says which ones lose some of the
    task's metrics. ``files`` are all files of the bundle, ``sha256`` is the seal of the bytes that were read or
    written.
    """

    origin: Origin
    graphs: Mapping[str, GraphRecord]
    checkpoint_sha256: str = ""
    exporter: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    precisions: Mapping[str, Worth] = field(default_factory=dict)
    recommended: str = ""
    lost: tuple[str, ...] = ()
    layout: str = ""
    files: Mapping[str, Digest] = field(default_factory=dict)
    sha256: str = ""

    def __repr__(self) -> str:
        precisions = f"; {', '.join(self.precisions)}" if self.precisions else ""
        return f"<manifest of {self.origin.name!r} by {self.exporter}: {', '.join(self.graphs)}{precisions}>"

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of the bundle in ``folder`` and compare every file with it.

        If the bundle is replaced meanwhile, it is read anew.

        Raises NotFoundError if the folder is not a bundle, UsageError if a newer modalzoo wrote it, IntegrityError if
        the manifest or a file is damaged, missing, changed or elsewhere.
        """
        for _ in range(_MOST_TRIES):
            content = manifest_bytes(folder)
            try:
                manifest, schema = _checked(folder, content)
                files = BoundFiles(folder, manifest.files)
                files.verify()
                if schema < _TELLS:
                    manifest = replace(manifest, graphs=_with_kinds(manifest.graphs, files))
            except IntegrityError:
                if manifest_bytes(folder) == content:
                    raise
            else:
                return manifest
        raise IntegrityError(f"{folder} was replaced {_MOST_TRIES} times while it was opened; open it again")

    def written(self) -> dict[str, Any]:
        """Return the manifest as JSON, sealed, in the newest schema, even if it was read from an older one."""
        measured = {
            "precisions": {name: asdict(worth) for name, worth in self.precisions.items()},
            "recommended": self.recommended,
            "lost": list(self.lost),
        }
        return sealed(
            {
                "schema": SCHEMA,
                "origin": asdict(self.origin),
                "checkpoint_sha256": self.checkpoint_sha256,
                "exporter": self.exporter,
                "versions": dict(self.versions),
                "graphs": {name: graph.written() for name, graph in self.graphs.items()},
                **(measured if self.precisions else {}),
                **({"layout": self.layout} if self.layout else {}),
                "files": {name: asdict(one) for name, one in self.files.items()},
            }
        )

    def write(self, folder: Path) -> Manifest:
        """Write it into ``folder`` with the hashes of all files there, and return the written version."""
        files = {path.name: digest(path) for path in sorted(folder.iterdir()) if path.is_file()}
        files.pop(MANIFEST, None)
        bound = replace(self, files=files)
        written = bound.written()
        (folder / MANIFEST).write_text(json_text(written, indent=1) + "\n", encoding="utf-8")
        return replace(bound, sha256=written[_SEAL])


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with the sha256 of the rest of its content."""
    rest = {key: value for key, value in content.items() if key != _SEAL}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return {**rest, _SEAL: hashlib.sha256(canonical.encode()).hexdigest()}


def manifest_bytes(folder: Path) -> bytes:
    """Return the manifest of a bundle as it is written.

    Raises NotFoundError if there is none, IntegrityError if it is not a file of the folder or too large.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise NotFoundError(f"{folder} is not a bundle: it lacks {MANIFEST}; name a folder that `zoo export` wrote")
    return read_bounded(path, most_bytes=_LARGEST_BYTES)


def _checked(folder: Path, content: bytes) -> tuple[Manifest, int]:
    """Return the content of a manifest, and its schema; its files are not checked yet."""
    path = folder / MANIFEST
    try:
        written = json.loads(content)
        table = Table(written, "manifest")
        if kind := table.take("kind", str, ""):
            raise NotFoundError(f"{folder} is not a bundle, it holds {kind}; name a folder that `zoo export` wrote")
        schema = table.take("schema", int)
        if schema > SCHEMA:
            raise UsageError(f"{path} has schema {schema}, this modalzoo reads up to {SCHEMA}; upgrade modalzoo")
        files = bound_files(folder, table.take("files", dict)).promised
        precisions = table.take("precisions", dict, {})
        manifest = Manifest(
            Origin.read(table.table("origin")),
            {
                name: GraphRecord.read(name, one, precisions, tells=schema >= _TELLS)
                for name, one in table.take("graphs", dict).items()
            },
            checkpoint_sha256=table.take("checkpoint_sha256", str, ""),
            exporter=table.take("exporter", str, ""),
            versions=table.table("versions").every(str),
            precisions={name: Worth.read(Table(worth, f"precisions.{name}")) for name, worth in precisions.items()},
            recommended=table.take("recommended", str, ""),
            lost=table.texts("lost"),
            layout=table.take("layout", str, ""),
            files=files,
            sha256=table.take(_SEAL, str, ""),
        )
        expected = sealed(written)[_SEAL]
    except (SpecError, ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} is damaged ({error!s:.500}); export the model again") from error
    for name in (one.file for graph in manifest.graphs.values() for one in graph.files.values()):
        if not is_plain_name(name) or name not in files:
            raise IntegrityError(
                f"{path} names the file {name!r}, which its own list does not bind; export the model again"
            )
    if manifest.sha256 != expected:
        raise IntegrityError(
            f"{path} was changed after the export: expected content with sha256 {manifest.sha256 or None}, "
            f"found {expected}; copy or export the bundle again"
        )
    return manifest, schema


def _with_kinds(graphs: Mapping[str, GraphRecord], files: BoundFiles) -> dict[str, GraphRecord]:
    """Return the graphs of a manifest without kinds; these are inferred from the graphs' names and the recipe's inputs.

    The kinds are empty if the recipe cannot be read; graphs can be run on arrays all the same.
    """
    from zoo.recipes.spec import Recipe  # newer manifests do not need the recipe

    content = files.read(RECIPE) if RECIPE in files.promised else b""
    try:
        recipe = Recipe.read(parse_json(content, RECIPE, cure="export the model again"), RECIPE)
    except (IntegrityError, SpecError):
        inputs = []
    else:
        inputs = [entry.name for entry in recipe.spec.inputs]
    return {name: replace(graph, **asdict(facts_of(name, inputs))) for name, graph in graphs.items()}
