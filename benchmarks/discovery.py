"""What the discovery of many installed plugins adds to ``zoo list``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.commands import LEAST_ROUNDS, answer, zoo_command
from benchmarks.measuring import Comparison, alternating
from zoo.scaffolding import written

PLUGINS = 50
MOST_MILLISECONDS = 100

COMPONENTS = 4


def measure(rounds: int) -> Iterator[Comparison]:
    """Time the whole command with and without them, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(PLUGINS):
            install(Path(folder), f"stranger{number}")
        env = {**os.environ, "PYTHONPATH": folder}
        found = answer(zoo_command("plugins"), env).count("modalzoo-stranger")
        if found != COMPONENTS * PLUGINS:
            raise RuntimeError(f"zoo plugins shows {found} components of the {PLUGINS} plugins in {folder}")
        command = zoo_command("list")
        answer(command, env)  # writes the bytecode, as an installation does
        crowded, plain = alternating(
            partial(answer, command, env), partial(answer, command), rounds=max(rounds, LEAST_ROUNDS)
        )
    added_ms = 1e3 * (crowded - plain)
    yield Comparison(f"zoo list, added by {PLUGINS} plugins", added_ms, None, "ms", at_most=MOST_MILLISECONDS)


def install(folder: Path, name: str) -> None:
    """Put the modality that ``zoo plugin new`` writes into a folder, as an installer leaves one."""
    metadata = folder / f"modalzoo_{name}-1.0.0.dist-info"
    metadata.mkdir()
    for file, content in written("modality", name):
        if file.startswith(f"zoo_{name}/"):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(content)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: modalzoo-{name}\nVersion: 1.0.0\n")
    (metadata / "entry_points.txt").write_text(f"[modalzoo]\n{name} = zoo_{name}\n")
