"""Whether ``zoo embed`` takes more memory for more rows, and how many rows a second it embeds."""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.commands import answer, zoo_command
from benchmarks.measuring import Comparison

ENTRY, GRAPH = "emoji-search", "encode_caption"
FEW_ROWS, MANY_ROWS = 10_000, 1_000_000
MOST_WORDS = 12
MOST_GROWTH = 1.2
_WORDS = ("red", "blue", "green", "heart", "face", "cat", "dog", "sun", "moon", "family", *"心狗猫花蛋糕红色太阳月亮")


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare the peak memory of whole commands; the larger run happens once, whatever the rounds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        answer(zoo_command("export", ENTRY, "--graph", GRAPH, "--out", str(folder / "bundle")))
        few_bytes, _ = _embedded(folder, FEW_ROWS)
        many_bytes, took_s = _embedded(folder, MANY_ROWS)
    what = f"{ENTRY} {GRAPH}, zoo embed of {MANY_ROWS:,} lines"
    yield Comparison(
        f"{what}: peak memory against {FEW_ROWS:,}", many_bytes / 1e6, few_bytes / 1e6, "MB", at_most=MOST_GROWTH
    )
    yield Comparison(f"{what}, start and end included", MANY_ROWS / took_s, None, "rows/s")


def _embedded(folder: Path, rows: int) -> tuple[int, float]:
    """Return the most memory that the command held, and how long it took."""
    lines, out = folder / f"{rows}.txt", folder / str(rows)
    generator = random.Random(0)
    with lines.open("w", encoding="utf-8") as stream:
        for _ in range(rows):
            stream.write(" ".join(generator.choices(_WORDS, k=generator.randint(1, MOST_WORDS))) + "\n")
    start = time.perf_counter()
    peak_bytes = peak_memory(
        zoo_command("embed", str(folder / "bundle"), GRAPH, "--input", str(lines), "--out", str(out), "--json")
    )
    return peak_bytes, time.perf_counter() - start


def peak_memory(command: Sequence[str]) -> int:
    """Run a command to its end and return the most resident bytes that it had."""
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_CLOSE, 1)])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise RuntimeError(f"{' '.join(command)} exits with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
