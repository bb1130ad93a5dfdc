"""Public names of a package that are loaded when they are first used, so that importing the package stays light."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


def on_first_use(package: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package, for the names that it imports ``if TYPE_CHECKING``.

    That block is the only list of them: type checkers read it, and this function reads it once, when the first name is
    requested. ``__all__`` is the sorted list of the names. Write, at the end of the package's ``__init__.py``:

        if TYPE_CHECKING:
            from zoo_birds.song import Song as Song
        else:
            __getattr__ = on_first_use(__name__)

    There is no ``__dir__``: code that lists the names of a plugin, such as its registration, would load them all.

    Raises, on first use, AttributeError for an unknown name, MissingExtraError if a package is not installed,
    ImportError if the source of this package is missing.
    """
    modules: dict[str, str] = {}

    def load(name: str) -> Any:
        if not modules:
            modules.update(_listed(package))
        if name == "__all__":
            return sorted(modules)
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from zoo.discovery.extras import extras_named  # imported late, as ast is

        with extras_named():
            return getattr(import_module(modules[name]), name)

    return load


def _listed(package: str) -> dict[str, str]:
    """Return, by name, the module that a package imports it from under TYPE_CHECKING."""
    import ast  # imported late: nothing else in `import zoo` needs it

    spec = sys.modules[package].__spec__
    source = getattr(spec and spec.loader, "get_source", lambda _: None)(package)
    if source is None:
        raise ImportError(
            f"the public names of {package} are listed in its __init__.py, whose source is missing; install {package} "
            "with its .py files"
        )
    blocks = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]
    lines = [line for block in blocks for line in block.body if isinstance(line, ast.ImportFrom)]
    return {alias.asname: str(line.module) for line in lines for alias in line.names if alias.asname}
