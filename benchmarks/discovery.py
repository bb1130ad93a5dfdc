"""What the discovery of many installed plugins adds to ``zoo list``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.commands import LEAST_ROUNDS, answer, zoo_command
from benchmarks.measuring import Comparison, alternating

PLUGINS = 50
MOST_MILLISECONDS = 100

# As the first page of plugins/README.md has it, with a component of each of four kinds.
SOURCE = """
from collections.abc import Mapping

from zoo import hookimpl

ZOO_API = 1


@hookimpl
def zoo_modalities() -> Mapping[str, str]:
    return {{"{name}": "zoo_{name}.modality:Modality"}}


@hookimpl
def zoo_encoders() -> Mapping[str, str]:
    return {{"{name}/mlp": "zoo_{name}.networks:Encoder"}}


@hookimpl
def zoo_decoders() -> Mapping[str, str]:
    return {{"{name}/mlp": "zoo_{name}.networks:Decoder"}}


@hookimpl
def zoo_datasets() -> Mapping[str, str]:
    return {{"{name}-data": "zoo_{name}.data:Data"}}
"""


def measure(rounds: int) -> Iterator[Comparison]:
    """Time the whole command with and without them, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(PLUGINS):
            install(Path(folder), f"stranger{number}")
        env = {**os.environ, "PYTHONPATH": folder}
        found = answer(zoo_command("plugins"), env).count("modalzoo-stranger")
        if found < PLUGINS:
            raise RuntimeError(f"zoo plugins shows {found} lines of the {PLUGINS} plugins in {folder}")
        command = zoo_command("list")
        answer(command, env)  # writes the bytecode, as an installation does
        crowded, plain = alternating(
            partial(answer, command, env), partial(answer, command), rounds=max(rounds, LEAST_ROUNDS)
        )
    added_ms = 1e3 * (crowded - plain)
    yield Comparison(f"zoo list, added by {PLUGINS} plugins", added_ms, None, "ms", at_most=MOST_MILLISECONDS)


def install(folder: Path, name: str) -> None:
    """Put the distribution ``modalzoo-NAME`` into a folder, as an installer leaves one."""
    package, metadata = folder / f"zoo_{name}", folder / f"modalzoo_{name}-1.0.0.dist-info"
    package.mkdir()
    metadata.mkdir()
    (package / "__init__.py").write_text(SOURCE.format(name=name))
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: modalzoo-{name}\nVersion: 1.0.0\n")
    (metadata / "entry_points.txt").write_text(f"[modalzoo]\n{name} = zoo_{name}\n")
