"""How soon the light commands answer, against a Python that imports only what they are built on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.measuring import Comparison, alternating

BARE = (sys.executable, "-c", "import click, pluggy")
MOST_BARE_STARTS = {"--help": 1.5, "list": 2.0}
LEAST_ROUNDS = 15


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare whole processes, started in turn."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for name, most in MOST_BARE_STARTS.items():
        command = zoo_command(name)
        answer(command, env)  # writes the bytecode, as an installation does
        ours, other = alternating(
            partial(answer, command, env), partial(answer, BARE, env), rounds=max(rounds, LEAST_ROUNDS)
        )
        yield Comparison(f"zoo {name}", 1e3 * ours, 1e3 * other, "ms", at_most=most)


def zoo_command(*arguments: str) -> tuple[str, ...]:
    """Return the command line of the ``zoo`` that is installed beside this Python."""
    return (str(Path(sys.executable).with_name("zoo")), *arguments)


def answer(command: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed."""
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
