"""The content of an open bundle, read when needed: only bytes that match the manifest, and no other files.

A bundle may be replaced while it is open, by another process or by hand. Content of the new one is never mixed with the
old: anything not yet read is refused, and the message says to open the bundle again.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from zoo.errors import DiskError, IntegrityError, NotFoundError, UnknownNameError
from zoo.files.bound import BoundFiles
from zoo.recipes.naming import of_owner, tensor_name
from zoo.recipes.tables import parse_json
from zoo.runtime.external import external_files
from zoo.runtime.manifest import RECIPE, Manifest, manifest_bytes

# Readers of specs and plugins are imported only when needed, since running a graph on arrays needs neither.
if TYPE_CHECKING:
    from zoo.protocols import Array, Modality, TensorSpec
    from zoo.recipes.spec import Recipe

STATE, REFERENCE = "state.safetensors", "reference.safetensors"
ONNX = ".onnx"
Read = TypeVar("Read")
_MOST_TRIES = 3
_SHARED_MEMORY = Path("/dev/shm")  # it can be written even in containers with a read-only disk


@dataclass(frozen=True)
class Contents:
    """The files of a bundle, and its manifest at the time of opening."""

    manifest: Manifest
    files: BoundFiles

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises IntegrityError if they are not the promised ones, or the manifest lists no such file.
        """
        return self._unless_renewed(lambda: self.files.read(name))

    def arrays(self, name: str) -> dict[str, Array]:
        """Return the arrays of a safetensors file.

        Raises IntegrityError if it is not such a file.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        content = self.read(name)
        try:
            return load(content)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"{self.files.folder / name} holds no arrays for NumPy ({error!r:.200}); export the model again"
            ) from error

    def recipe(self) -> Recipe:
        """Return the recipe that the model was trained with.

        Raises IntegrityError if there is none, SpecError if one of its values is wrong.
        """
        from zoo.recipes.spec import Recipe

        where = str(self.files.folder / RECIPE)
        return Recipe.read(parse_json(self.read(RECIPE), where, cure="export the model again"), where)

    def modality(self, name: str) -> Modality:
        """Return the modality of an input as it was fitted; only its own plugin must be installed.

        Raises UnknownNameError if there is no such input, IntegrityError if the modality does not make the tensors that
        the graphs take.
        """
        from zoo.discovery.components import fitted_modality
        from zoo.discovery.plugins import installed

        entries = {entry.name: entry for entry in self.recipe().spec.inputs}
        if name not in entries:
            raise UnknownNameError("input", name, entries, hint=f"The bundle's {RECIPE} holds them.")
        fitted = fitted_modality(entries[name], installed(), self.arrays(STATE), str(self.files.folder / STATE))
        for graph in self.manifest.graphs.values():
            for leaf, taken in of_owner(name, graph.inputs).items():
                made = fitted.tensors.get(leaf)
                if made is not None and not _fits(made, taken):
                    raise IntegrityError(
                        f"{self.files.folder / RECIPE} makes {tensor_name(name, leaf)!r} with axes {made.axes}, the "
                        f"graph takes {taken.axes}; export the model again"
                    )
        return fitted

    @contextmanager
    def placed(self, name: str) -> Iterator[tuple[Path, str]]:
        """Give a graph's file in a separate folder, beside the files that it reads, and an identity of their bytes.

        So no runtime opens a file that was not hashed. The folder is removed at the end; memory that a runtime has
        mapped stays valid.

        Raises IntegrityError if a file is not the promised one, or if the graph names a file that the manifest does not
        list; DiskError if there is not enough space for the folder.
        """
        with _folder() as folder:
            path, others = self._copied(name, Path(folder))
            digests = [self.files.promised[file].sha256 for file in (name, *others)]
            yield path, " ".join(["made of", *digests])

    def _copied(self, name: str, folder: Path) -> tuple[Path, list[str]]:
        def copied() -> tuple[Path, list[str]]:
            path = self.files.copy(name, folder)
            others = self._read_by(path)
            for other in others:
                self.files.copy(other, folder)
            return path, others

        try:
            return self._unless_renewed(copied)
        except OSError as error:
            raise DiskError(
                f"a graph is loaded from a copy in {folder}, which cannot be written ({error.strerror}); free some "
                "space there, or set TMPDIR to another folder"
            ) from error

    def _read_by(self, path: Path) -> list[str]:
        """Return the files that a graph's file reads; all files, if only its exporter knows which."""
        if path.suffix != ONNX:
            return [name for name in self.files.promised if name != path.name]
        try:
            found = external_files(path.read_bytes())
        except ValueError as error:
            raise IntegrityError(
                f"{self.files.folder / path.name} is not a valid ONNX file ({error}); export the model again"
            ) from error
        for name in found:
            if name not in self.files.promised:
                raise IntegrityError(
                    f"{self.files.folder / path.name} reads the file {name!r}, which the manifest does not bind; "
                    "do not use this bundle"
                )
        return sorted(found)

    def _unless_renewed(self, read: Callable[[], Read]) -> Read:
        """Return the result of ``read``; if the bundle was replaced, say so.

        If files differ but the manifest does not, the bundle may have been replaced and then put back. The folder then
        holds the opened bundle again, so it is read once more.
        """
        tries = 1
        while True:
            try:
                return read()
            except IntegrityError as error:
                if self._is_renewed():
                    raise IntegrityError(
                        f"{self.files.folder} was replaced by another bundle after it was opened; open it again"
                    ) from error
                if tries == _MOST_TRIES:
                    raise
            tries += 1

    def _is_renewed(self) -> bool:
        try:
            found = json.loads(manifest_bytes(self.files.folder))
        except (NotFoundError, IntegrityError, ValueError, RecursionError):
            return False
        return isinstance(found, dict) and found.get("sha256") != self.manifest.sha256


def _fits(made: TensorSpec, taken: TensorSpec) -> bool:
    """Return whether a modality's tensor fits what a graph takes, as far as sizes are fixed in both."""
    fixed = zip(made.axes, taken.axes, strict=False)
    return len(made.axes) == len(taken.axes) and all(
        one == other for one, other in fixed if isinstance(one, int) and isinstance(other, int)
    )


def _folder() -> tempfile.TemporaryDirectory[str]:
    """Make an empty folder of this process, which is removed at the end."""
    for place in (None, _SHARED_MEMORY):
        with suppress(OSError):
            return tempfile.TemporaryDirectory(prefix="zoo-", dir=place)
    raise DiskError(
        "a graph is loaded from a folder for temporary files, and none can be made; set TMPDIR to one that may be "
        "written"
    )
