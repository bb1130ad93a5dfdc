"""A missing optional package is reported with the extra or the distribution that installs it.

This is read from the metadata of modalzoo and of the distributions with plugins, so that a new extra is declared in a
``pyproject.toml`` and nowhere else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from zoo.discovery.entry_points import entry_points
from zoo.errors import MissingExtraError
from zoo.hookspecs import ENTRY_POINT_GROUP

_OWN = "modalzoo"
# Distributions whose modules are named differently.
_DISTRIBUTIONS = {"PIL": ("pillow",), "onnxruntime": ("onnxruntime", "onnxruntime-gpu"), "yaml": ("pyyaml",)}


@contextmanager
def extras_named() -> Iterator[None]:
    """Raise MissingExtraError for a module that is missing, if it is known how to install it; other errors pass."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        raise missing from error


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Return the error that says how to install the missing module, None if that is unknown."""
    package = (error.name or "").partition(".")[0]
    if not package or sys.modules.get(package) is not None:  # the package is there, and lacks one of its own modules
        return None
    brings = bringing(package)
    return MissingExtraError(package, brings) if brings else None


def bringing(package: str) -> list[str]:
    """Return what to install for an import package, as pip takes it: ``modalzoo[train]``, ``modalzoo-audio``.

    All results are of one distribution, of modalzoo if it is among them.
    """
    wanted = {_normalised(name) for name in _DISTRIBUTIONS.get(package, (package,))}
    for distribution in (_OWN, *sorted({point.distribution for point in entry_points(ENTRY_POINT_GROUP)})):
        found: dict[str, str] = {}
        for name, extra in _required(distribution):
            if name in wanted:
                found.setdefault(name, extra)
        if found:
            return [f"{distribution}[{extra}]" if extra else distribution for extra in found.values()]
    return []


def bringing_component(name: str) -> str | None:
    """Return what to install for a component, judged by the extra or the distribution with a similar name.

    None if there is no such name, or if its distribution is installed.
    """
    from importlib.metadata import PackageNotFoundError, version

    distribution = f"{_OWN}-{name}"
    extras = [extra for required, extra in _required(_OWN) if required == distribution]
    try:
        version(distribution)
    except PackageNotFoundError:
        return None if not extras else f"{_OWN}[{name}]" if name in extras else distribution
    return None


def _required(distribution: str) -> Iterator[tuple[str, str]]:
    """Yield each requirement of a distribution with the extra that needs it, empty if it is always needed."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        requirements = requires(distribution) or []
    except PackageNotFoundError:  # it runs from source, without metadata
        return
    for requirement in requirements:
        name, extra = re.match(r"[\w.-]+", requirement), re.search(r"""extra\s*==\s*["']([\w.-]+)["']""", requirement)
        if name is not None:
            yield _normalised(name[0]), extra[1] if extra else ""


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
