"""For authors of plugins: writes a plugin to start from, and checks an installed one against its contracts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.discovery.plugins import Plugins, installed
from zoo.recipes.arguments import checked
from zoo.scaffolding import scaffold
from zoo.verbs.texts import plain, table

if TYPE_CHECKING:
    from zoo.testing.checking import Checked

HEADER = ("WHAT", "PASSED", "FAILED", "EXCEPTED")


@dataclass(frozen=True, repr=False)
class CheckedPlugin:
    """The results of the contracts for each component of a distribution, shown as ``zoo plugin check`` prints them."""

    distribution: str
    components: Sequence[Checked]

    def __iter__(self) -> Iterator[Checked]:
        return iter(self.components)

    def __repr__(self) -> str:
        return "\n".join([*table(HEADER, self.rows()), *map(plain, self.failures)])

    @property
    def failures(self) -> list[str]:
        """The failures: component, test and reason of each."""
        return [f"{one.name}: {test}: {reason}" for one in self for test, reason in one.failed]

    def rows(self) -> list[tuple[str | int, ...]]:
        """Return a row per component, below ``HEADER``."""
        return [(one.name, one.passed, len(one.failed), len(one.excepted)) for one in self]

    def written(self) -> list[dict[str, Any]]:
        """Return the components for JSON."""
        return [asdict(one) for one in self]


@checked
def new_plugin(kind: str, name: str, out: Path | str = ".", *, plugins: Plugins | None = None) -> Path:
    """Write a plugin of a kind to start from, into a new folder in ``out``; return the path of that folder.

    It installs, passes its contracts, trains and exports without changes.

    Raises UsageError if the kind or the name is not allowed, or if the folder exists.
    """
    return scaffold(kind, name, Path(out), plugins=plugins or installed())


@checked
def check_plugin(distribution: str, *, plugins: Plugins | None = None) -> CheckedPlugin:
    """Check all components of an installed distribution against their contracts, in a separate process.

    Raises UnknownNameError if it has no plugin, PluginError if its plugin failed to register or the contracts cannot be
    run, NotFoundError if a package that they need is not installed.
    """
    from zoo.testing.checking import check

    return CheckedPlugin(distribution, check(distribution, plugins or installed()))
