"""The manifest of a bundle: it binds every file by its hash, and itself by a seal.

A seal tells of damage and no more, since anyone can put one: what the manifest says is checked as a stranger's word.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from zoo.errors import IntegrityError, NotFoundError, SpecError, UsageError
from zoo.files.bound import BoundFiles, bound_files, is_plain_name, read_bounded
from zoo.protocols import Axis, DType, NormalForm, TensorSpec
from zoo.recipes.naming import is_text
from zoo.recipes.tables import SCHEMA, Table

MANIFEST = "manifest.json"
FULL = "fp32"
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_SEAL = "sha256"
_LARGEST_BYTES = 16 << 20
_LARGEST_SIZE = 2**63 - 1
_LARGEST_NUMBER = 2**64
# How often a bundle may be replaced while it is opened.
_MOST_TRIES = 20


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with the sha256 of all else that it holds."""
    rest = {key: value for key, value in content.items() if key != _SEAL}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return {**rest, _SEAL: hashlib.sha256(canonical.encode()).hexdigest()}


def read_manifest(folder: Path) -> tuple[dict[str, Any], BoundFiles]:
    """Read the manifest of the bundle in ``folder`` and compare every file with it.

    A bundle that is replaced meanwhile is read anew. Its files are found again from any working folder.

    Raises NotFoundError where it is no bundle, UsageError where a newer modalzoo wrote it, IntegrityError where the
    manifest or a file is damaged, missing, changed or elsewhere.
    """
    for _ in range(_MOST_TRIES):
        content = manifest_bytes(folder)
        try:
            manifest, files = _checked(folder, content)
            files.verify()
        except IntegrityError:
            if manifest_bytes(folder) == content:
                raise
        else:
            return manifest, replace(files, folder=folder.absolute())
    raise IntegrityError(f"{folder} was replaced {_MOST_TRIES} times while it was opened; open it again")


def manifest_bytes(folder: Path) -> bytes:
    """Return the manifest of a bundle as it is written.

    Raises NotFoundError where there is none, IntegrityError where it is no file of the folder or too large.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise NotFoundError(f"{folder} is no bundle: it lacks {MANIFEST}; name a folder that `zoo export` wrote")
    return read_bounded(path, most_bytes=_LARGEST_BYTES)


def spec_of(written: Any, where: str = "tensor") -> TensorSpec:
    """Return a tensor as a manifest describes it.

    Raises SpecError where it describes none.
    """
    table = Table(written, where)
    dtype, axes = table.take("dtype", str), table.take("axes", list)
    if dtype not in get_args(DType):
        raise SpecError(f"{where}: 'dtype' is one of {', '.join(get_args(DType))}, got {dtype!r}")
    if not axes or not all(isinstance(axis, str) or _is_size(axis) for axis in axes):
        raise SpecError(f"{where}: 'axes' are names and sizes, at least one, got {axes!r:.200}")
    low, high = (_bound(table.anything(key), f"{where}.{key}") for key in ("low", "high"))
    form = table.take("normal_form", str, "NFC")
    if form not in get_args(NormalForm):
        raise SpecError(f"{where}: 'normal_form' is one of {', '.join(get_args(NormalForm))}, got {form!r}")
    return TensorSpec(
        dtype,  # type: ignore[arg-type]  # it was just looked up
        tuple(axes),
        float("-inf") if low is None else low,
        float("inf") if high is None else high,
        normal_form=form,  # type: ignore[arg-type]  # it was just looked up
    )


def axis_of(written: Any, where: str = "axis") -> Axis:
    """Return an axis as a manifest describes it.

    Raises SpecError where it describes none.
    """
    table = Table(written, where)
    smallest, largest = table.take("smallest", int), table.take("largest", int)
    if not 0 <= smallest <= largest <= _LARGEST_SIZE:
        raise SpecError(f"{where}: 'smallest' and 'largest' are sizes in this order, got {smallest} and {largest}")
    return Axis(smallest, largest, table.take("padded", bool, False))


def _checked(folder: Path, content: bytes) -> tuple[dict[str, Any], BoundFiles]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(content)
        table = Table(manifest, "manifest")
        schema, graphs = table.take("schema", int), table.take("graphs", dict)
        if schema > SCHEMA:
            raise UsageError(f"{path} has schema {schema}, this modalzoo reads up to {SCHEMA}; upgrade modalzoo")
        files = bound_files(folder, table.take("files", dict))
        for key in ("exporter", "checkpoint_sha256", "layout", "recommended"):
            table.take(key, str, "")
        precisions = [name for name in table.take("precisions", dict, {}) if name != FULL]
        named = [file for name, graph in graphs.items() for file in _graph_files(name, graph, precisions)]
        expected = sealed(manifest)[_SEAL]
    except (SpecError, ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} is damaged ({error!s:.500}); export the model again") from error
    for name in named:
        if not is_plain_name(name) or name not in files.promised:
            raise IntegrityError(
                f"{path} names the file {name!r}, which its own list does not bind; export the model again"
            )
    if manifest.get(_SEAL) != expected:
        raise IntegrityError(
            f"{path} was changed after the export: expected content with sha256 {manifest.get(_SEAL)}, "
            f"found {expected}; copy or export the bundle again"
        )
    return manifest, files


def _graph_files(name: str, written: Any, precisions: list[str]) -> Iterator[str]:
    """Yield the files of a graph, after a look at all that is said of it."""
    _check_name(name)
    where = f"graphs.{name}"
    table = Table(written, where)
    axes = {key: axis_of(axis, f"{where}.axes.{key}") for key, axis in table.take("axes", dict).items()}
    for way in ("inputs", "outputs"):
        tensors = table.take(way, dict)
        if not tensors:
            raise SpecError(f"{where}: a graph has {way}")
        for tensor, described in tensors.items():
            _check_name(tensor)
            spec = spec_of(described, f"{where}.{way}.{tensor}")
            free = {axis for axis in spec.axes[1:] if isinstance(axis, str)}
            if way == "inputs" and not free <= axes.keys():
                raise SpecError(f"{where}: 'axes' lacks {', '.join(sorted(free - axes.keys()))} of {tensor!r}")
            if is_text(tensor) and (len(spec.axes), len(free)) != (2, 1):
                raise SpecError(f"{where}: {tensor!r} has a free axis after the batch, got {spec.axes}")
    yield _file(written, where)
    reduced = table.take("reduced", dict, {})
    for precision in dict.fromkeys([*precisions, *reduced]):
        yield _file(reduced.get(precision), f"{where}.reduced.{precision}")


def _file(written: Any, where: str) -> str:
    table = Table(written, where)
    parity = Table(table.take("parity", dict), f"{where}.parity")
    parity.take("cases", int)
    parity.take("used", float)
    return table.take("file", str)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise IntegrityError(f"the manifest names a graph or tensor {name!r}, which is no name; do not use this bundle")


def _is_size(axis: Any) -> bool:
    return type(axis) is int and 0 <= axis <= _LARGEST_SIZE


def _bound(value: Any, where: str) -> float | None:
    if value is not None and (type(value) not in (int, float) or not abs(value) <= _LARGEST_NUMBER):
        raise SpecError(f"{where}: expected a number, got {value!r:.80}")
    bound: float | None = value
    return bound
