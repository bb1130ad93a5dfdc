"""How soon a bundle can be used: processes that import the runtime, open a bundle and load its graphs."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.commands import answer, zoo_command
from benchmarks.measuring import Comparison, timed

ENTRY = "emoji-search"
MOST_IMPORT_S = 0.3
MOST_OPENING_S = 0.5
IMPORT = (sys.executable, "-c", "import zoo.runtime, onnxruntime")
_OPEN = """
import sys
from zoo.runtime.bundle import open_bundle
opened = open_bundle(sys.argv[1], keeps=sys.argv[2] == "kept")
for name in opened.graphs:
    opened.graph(name)
"""
_LOADING = """
import sys, time
from zoo.runtime.bundle import open_bundle
import onnxruntime
start = time.perf_counter()
opened = open_bundle(sys.argv[1], keeps=sys.argv[2] == "kept")
for name in opened.graphs:
    opened.graph(name)
print(time.perf_counter() - start)
"""


def measure(rounds: int) -> Iterator[Comparison]:
    """Time whole processes, the start of Python included; graphs are kept by a first opening that is not counted."""
    answer(IMPORT)
    seconds = statistics.median(timed(lambda: answer(IMPORT)) for _ in range(rounds))
    yield Comparison("import of zoo.runtime and onnxruntime", seconds, None, "s", at_most=MOST_IMPORT_S)
    with tempfile.TemporaryDirectory() as folder:
        bundle = str(Path(folder) / "bundle")
        env = {**os.environ, "ZOO_HOME": str(Path(folder) / "home")}
        answer(zoo_command("export", ENTRY, "--out", bundle))

        def opened(how: str) -> str:
            return answer((sys.executable, "-c", _OPEN, bundle, how), env)

        opened("kept")
        seconds = statistics.median(timed(lambda: opened("kept")) for _ in range(rounds))
        yield Comparison(
            f"{ENTRY}, opened with all graphs, import included", seconds, None, "s", at_most=MOST_OPENING_S
        )
        took: dict[str, list[float]] = {"kept": [], "made": []}
        for _ in range(rounds):
            for how, found in took.items():
                found.append(float(answer((sys.executable, "-c", _LOADING, bundle, how), env)))
        kept, made = (1e3 * statistics.median(found) for found in took.values())
        yield Comparison(f"{ENTRY}, its graphs kept as optimised against optimised anew", kept, made, "ms", at_most=1)
