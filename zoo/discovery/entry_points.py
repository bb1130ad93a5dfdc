"""The entry points of a group, read from the ``entry_points.txt`` of each distribution and little else.

The result equals that of
``importlib.metadata.entry_points``, in the same order. That function parses metadata as mail, and importing the mail
parser takes as long as the rest of a listing. Besides, it fails altogether if one file is broken. It is used only for
distributions outside of folders: in a zip file on ``sys.path``, or with their own finder.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, reduce
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

from zoo.errors import PluginError

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_FILE = "entry_points.txt"
_SUFFIXES = (".dist-info", ".egg-info")


@dataclass(frozen=True)
class EntryPoint:
    """A name, the module or object that it refers to, and the distribution that provides it.

    ``fault`` says why it cannot be read; empty if it can.
    """

    name: str
    value: str
    distribution: str
    version: str
    fault: str = ""

    @property
    def module(self) -> str:
        """The dotted name of the module.

        Raises PluginError if the entry point cannot be read.
        """
        return self._parts()[0]

    def load(self) -> Any:
        """Import the module and return it, or the object in it that the entry point names.

        Raises PluginError if the entry point cannot be read, and any exception of the module.
        """
        module, attributes = self._parts()
        return reduce(getattr, filter(None, attributes.split(".")), importlib.import_module(module))

    def _parts(self) -> tuple[str, str]:
        if self.fault:
            raise PluginError(self.fault)
        module, colon, attributes = map(str.strip, self.value.partition("[")[0].partition(":"))
        if not _dotted(module) or (colon and not _dotted(attributes)):
            raise PluginError(f"{_FILE} gives {self.name!r} as {self.value!r}, expected a dotted name of a module")
        return module, attributes


class _Installed:
    """An installed distribution, by the name of its folder.

    ``read`` returns nothing for a missing file, and raises OSError if it cannot read one.
    """

    def __init__(self, folder: str, read: Callable[[str], bytes]) -> None:
        stem, suffix = os.path.splitext(folder)
        self._name, _, self._version = (stem if suffix in _SUFFIXES else "").partition("-")
        self.read = read

    @property
    def key(self) -> str:
        """Its normalised name: ``Zoo.Birds`` and ``zoo-birds`` are equal (PEP 503)."""
        name = (self._name or self.named()[0]).lower()
        return "-".join(filter(None, name.replace("_", "-").replace(".", "-").split("-")))

    def named(self) -> tuple[str, str]:
        """Return its name and version, from its metadata, or else from the name of its folder."""
        stated: dict[str, str] = {}
        text = ""
        with suppress(OSError):
            text = (self.read("METADATA") or self.read("PKG-INFO")).decode(errors="replace")
        for line in io.StringIO(text, newline=None):  # ``splitlines`` also ends lines at signs that a value may hold
            if line == "\n":  # the description follows
                break
            header, _, value = line.partition(":")
            stated.setdefault(header.casefold(), value.strip())
        return stated.get("name") or self._name, stated.get("version") or self._version or "unknown"


def entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of a group; if several distributions share a name, the first on the path counts.

    A distribution that cannot be read gives an entry point with the fault.
    """
    found: dict[str, _Installed] = {}
    for distribution in _installed():
        found.setdefault(distribution.key, distribution)
    return [point for distribution in found.values() for point in _points(distribution, group)]


def _points(distribution: _Installed, group: str) -> Iterator[EntryPoint]:
    try:
        content = distribution.read(_FILE)
        if group.encode() not in content:
            return
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        name, version = distribution.named()
        yield EntryPoint(name, "", name, version, f"{_FILE} {_told(error)}")
        return
    name, version = distribution.named()
    for line in _lines(text, group):
        point, equals, value = line.partition("=")
        fault = "" if equals else f"{_FILE} has the line {line!r}, expected 'name = module'"
        yield EntryPoint(point.strip(), value.strip(), name or point.strip(), version, fault)


def _told(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8 at byte {error.start}"
    return f"cannot be read: {error.strerror or error}"


def _lines(text: str, group: str) -> Iterator[str]:
    section = None
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line.strip("[]")
        elif line and not line.startswith("#") and section == group:
            yield line


def _installed() -> Iterator[_Installed]:
    for finder in sys.meta_path:
        if finder is PathFinder and hasattr(finder, "find_distributions"):
            for place in sys.path:
                if isinstance(place, str | os.PathLike):  # imports skip everything else, too
                    yield from _in_place(os.fspath(place))
        elif hasattr(finder, "find_distributions"):
            from importlib.metadata import DistributionFinder

            yield from map(_in_no_folder, finder.find_distributions(DistributionFinder.Context()))


def _dotted(name: str) -> bool:
    return name.replace(".", "").replace("_", "").isalnum()


def _in_place(place: str) -> Iterator[_Installed]:
    try:
        children = os.listdir(place or ".")
    except NotADirectoryError:  # at most a zip file
        from importlib.metadata import DistributionFinder, MetadataPathFinder

        found = MetadataPathFinder.find_distributions(DistributionFinder.Context(path=[place]))
        yield from map(_in_no_folder, found)
        return
    except OSError:  # imports skip it, too
        return
    named = [child for child in children if child.lower().endswith(_SUFFIXES)]
    if os.path.basename(place).lower().endswith(".egg"):
        named += [child for child in children if child.lower() == "egg-info"]
    for child in named:
        yield _Installed(child, partial(_read, os.path.join(place, child)))


def _read(folder: str, file: str) -> bytes:
    path = os.path.join(folder, file)
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        if os.path.lexists(path):  # a link that leads nowhere
            raise
        return b""


def _in_no_folder(distribution: Distribution) -> _Installed:
    return _Installed("", partial(_read_by, distribution))


def _read_by(distribution: Distribution, file: str) -> bytes:
    from zipfile import BadZipFile
    from zlib import error as BadCompression

    try:
        return (distribution.read_text(file) or "").encode()
    except UnicodeDecodeError as error:
        return error.object
    except (EOFError, RuntimeError, BadZipFile, BadCompression) as error:  # it is damaged, or needs a password
        raise OSError(str(error)) from error
