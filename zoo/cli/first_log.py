"""Plain logs, set up when ``logging`` is imported: a listing does not import it, which saves a tenth of its time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


def plain_from_the_first() -> None:
    """Call ``log_plainly`` at once if ``logging`` is loaded, else as soon as it is."""
    if "logging" in sys.modules:
        from zoo.cli.logs import log_plainly

        log_plainly()
    elif not any(isinstance(finder, _Logging) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Logging())


class _Logging:
    """An import hook for ``logging``: other finders import it; this one only acts once it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "logging":
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_set(module: ModuleType) -> None:
                load(module)
                plain_from_the_first()

            setattr(spec.loader, "exec_module", load_and_set)  # noqa: B010 - it is this module's own loader
        return spec
