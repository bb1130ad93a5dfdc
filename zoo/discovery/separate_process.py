"""Loads plugins in a separate process, to find those that end or block every process that imports them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_LOADED = "loaded"


@dataclass(frozen=True)
class Behaviour:
    """The outcome of a process that imported some plugins: what ended or blocked it, and whether it wrote to stdout."""

    fault: str
    prints: bool


def behaviours(distributions: Iterable[str], limit_s: float) -> dict[str, Behaviour]:
    """Return how each distribution behaves: tried in one process for all, and one by one if that shows a fault.

    ``limit_s`` is the time limit of a process.
    """
    names = sorted(set(distributions))
    if not names:  # an empty ZOO_PLUGINS would allow all plugins
        return {}
    together = _behaviour(names, limit_s)
    if not together.fault and not together.prints:
        return dict.fromkeys(names, together)
    return {name: _behaviour([name], limit_s) for name in names}


def _behaviour(names: list[str], limit_s: float) -> Behaviour:
    environment = {**os.environ, "ZOO_PLUGINS": ",".join(names), "PYTHONPATH": os.pathsep.join(sys.path)}
    with tempfile.TemporaryDirectory() as folder:
        printed, loaded = Path(folder) / "printed", Path(folder) / _LOADED
        command = [sys.executable, "-P", "-m", "zoo.discovery.separate_process", str(loaded)]
        code: int | None = None
        # Output goes to a file: a pipe would stay open if a plugin leaves processes behind.
        with printed.open("wb") as stream:
            try:
                done = subprocess.run(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.DEVNULL,
                    timeout=limit_s,
                    check=False,
                )
                code = done.returncode
            except subprocess.TimeoutExpired:
                pass
        return Behaviour(_fault(code, loaded.exists(), limit_s), printed.stat().st_size > 0)


def _fault(code: int | None, loaded: bool, limit_s: float) -> str:
    if code is None:
        held = "keeps a process from ending" if loaded else "does not finish its import"
        return f"{held} within {limit_s:g} s"
    if code < 0:
        return f"ends a process by {signal.Signals(-code).name}"
    if code > 0 or not loaded:
        return f"ends a process with exit code {code}"
    return ""


if __name__ == "__main__":
    from zoo.discovery.plugins import installed

    installed()
    Path(sys.argv[1]).touch()
