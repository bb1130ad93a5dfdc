"""Checks all components of an installed distribution against their contracts, in a separate process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from zoo.discovery.plugins import Plugins
from zoo.errors import PluginError

_TESTS = "from zoo.testing import contracts_of\n\nglobals().update(contracts_of({distribution!r}))\n"


@dataclass
class Checked:
    """The results of the contracts for one component; each list holds pairs ``(test, reason)``."""

    name: str
    passed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    excepted: list[tuple[str, str]] = field(default_factory=list)
    stated: list[str] = field(default_factory=list)


def check(distribution: str, plugins: Plugins) -> list[Checked]:
    """Return the results of the contracts for each component of a distribution; pytest's own report goes to stderr.

    Raises UnknownNameError if the distribution has no plugin, PluginError if its plugin failed to register or the
    contracts cannot be run.
    """
    plugins.of(distribution)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        tests = Path(folder) / "test_contracts.py"
        tests.write_text(_TESTS.format(distribution=distribution), encoding="utf-8")
        options = ("-q", "--no-header", "--tb=short", "--disable-warnings", "-p", "no:cacheprovider", "-p", "no:xdist")
        where = (f"--rootdir={folder}", f"--confcutdir={folder}", "-c", os.devnull, f"--junit-xml={results}")
        command = (sys.executable, "-m", "pytest", *options, *where, str(tests))
        done = subprocess.run(command, stdout=sys.stderr, check=False)
        if done.returncode not in (0, 1) or not results.exists():
            raise PluginError(f"the contracts of {distribution} could not be run; the output of pytest is above")
        return _read(results)


def _read(results: Path) -> list[Checked]:
    found: dict[str, Checked] = {}
    for case in ElementTree.parse(results).iter("testcase"):
        name = case.get("classname", "").partition(".Test ")[2]
        checked = found.setdefault(name, Checked(name))
        test = case.get("name", "")
        failures = [element for element in case if element.tag in ("failure", "error")]
        skipped = case.find("skipped")
        if failures:
            checked.failed.append((test, _line(failures[0])))
        elif skipped is not None:
            checked.excepted.append((test, _line(skipped)))
        else:
            checked.passed += 1
        stated = [str(element.get("value")) for element in case.iter("property") if element.get("name") == "stated"]
        checked.stated += [text for text in stated if text not in checked.stated]
    return list(found.values())


def _line(element: ElementTree.Element) -> str:
    return (element.get("message") or "no message").splitlines()[0]
