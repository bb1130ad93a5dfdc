"""For those who write a plugin: one to start from, and an installed one put to its contracts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.discovery.plugins import Plugins, installed
from zoo.scaffolding import scaffold
from zoo.verbs.texts import plain, table

if TYPE_CHECKING:
    from zoo.testing.checking import Checked

HEADER = ("WHAT", "PASSED", "FAILED", "EXCEPTED")


@dataclass(frozen=True, repr=False)
class CheckedPlugin:
    """What the contracts found of each component of a distribution, shown as ``zoo plugin check`` prints it."""

    distribution: str
    components: Sequence[Checked]

    def __iter__(self) -> Iterator[Checked]:
        return iter(self.components)

    def __repr__(self) -> str:
        return "\n".join([*table(HEADER, self.rows()), *map(plain, self.failures)])

    @property
    def failures(self) -> list[str]:
        """What failed: the component, the test and the reason of each."""
        return [f"{one.name}: {test}: {reason}" for one in self for test, reason in one.failed]

    def rows(self) -> list[tuple[str | int, ...]]:
        """Return a row per component, below ``HEADER``."""
        return [(one.name, one.passed, len(one.failed), len(one.excepted)) for one in self]

    def written(self) -> list[dict[str, Any]]:
        """Return the components for JSON."""
        return [asdict(one) for one in self]


def new_plugin(kind: str, name: str, out: Path | str = ".", *, plugins: Plugins | None = None) -> Path:
    """Write a plugin of a kind to start from, into a folder of its own in ``out``; return the path of that folder.

    It installs, passes its contracts, trains and exports as it stands.

    Raises UsageError for a kind or name that cannot be, or if the folder is there already.
    """
    return scaffold(kind, name, Path(out), plugins=plugins or installed())


def check_plugin(distribution: str, *, plugins: Plugins | None = None) -> CheckedPlugin:
    """Put all that an installed distribution registers to its contracts, in a process of its own.

    Raises UnknownNameError if it brings no plugin, PluginError if its plugin is out or the contracts cannot be run,
    NotFoundError if what they need is not installed.
    """
    from zoo.testing.checking import check

    return CheckedPlugin(distribution, check(distribution, plugins or installed()))
