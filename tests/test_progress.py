"""A bar with rate and time left on a terminal; without one, results and one-line notes alone."""

import io
import itertools
import os
import pty
import re
import subprocess
import sys

import numpy as np
import pytest
import tomlkit

from zoo.files.store import digest
from zoo.verbs.progress import progress_bar

WORK = """
import time
from zoo.verbs.progress import progress_bar
with progress_bar("hatching") as advance:
    for step in range(1, {steps} + 1):
        time.sleep({pause_s})
        advance(step, {steps}, "loss [1]")
"""
COLOUR = re.compile(r"\x1b\[[0-9;]*[1-9][0-9;]*m")


def on_a_terminal(work=WORK, *, steps=4, pause_s=0.02, **settings):
    """Return what a task of a few steps shows on a terminal of 100 columns."""
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "CI")}
    terminal, end = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-c", work.format(steps=steps, pause_s=pause_s)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=end,
        env={**kept, "TERM": "xterm", "COLUMNS": "100", **settings},
    )
    os.close(end)
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError:  # how Linux tells that the other end is closed
        pass
    os.close(terminal)
    assert done.wait(timeout=30) == 0
    return shown.decode()


def test_a_terminal_shows_how_far_how_fast_and_how_long():
    shown = on_a_terminal()
    for part in ("hatching", "4/4", r"[1-9]\d*\.\d/s", r"0:00:00", r"loss \[1\]"):
        assert re.search(part, shown), part


def test_each_stage_of_a_task_has_a_length_of_its_own():
    stages = WORK + "    [advance(step, 9, 'second stage') for step in range(1, 10)]\n"
    shown = on_a_terminal(stages)
    assert re.search(r"9/9.*second stage", shown)


def test_slow_steps_are_told_in_seconds_each():
    assert re.search(r"1\.\d s each", on_a_terminal(steps=2, pause_s=1.05))


def test_colours_are_left_out_where_no_color_is_set():
    assert COLOUR.search(on_a_terminal())
    assert not COLOUR.search(on_a_terminal(NO_COLOR="1"))


def test_without_a_terminal_a_bar_shows_nothing(capsys):
    with progress_bar("hatching") as advance:
        advance(1, 2, "loss")
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def places(tmp_path, trained, bundle, table, recipe_file, monkeypatch):
    """What the commands below are given, by the word that stands for it."""
    found = digest(trained)
    entry = {**table, "size": found.size_bytes, "sha256": found.sha256, "sources": [trained.as_uri()], "metrics": {}}
    registry = tmp_path / "registry.toml"
    registry.write_text(tomlkit.dumps({"schema": 1, "entries": {"toy": entry}}))
    monkeypatch.setenv("ZOO_REGISTRY", str(registry))
    np.save(tmp_path / "latent.npy", np.zeros((1, 2), np.float32))
    return {
        "RECIPE": recipe_file(),
        "OUT": tmp_path / "out",
        "BUNDLE": bundle,
        "LATENT": f"latent={tmp_path / 'latent.npy'}",
    }


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ("list", 0),
        ("info toy", 0),
        ("fetch toy", 1),
        ("train RECIPE --out OUT", 2),
        ("evaluate toy", 0),
        ("export toy --to toy --out OUT --graph decode_left", 1),
        ("parity BUNDLE", 0),
        ("run BUNDLE decode_left -i LATENT", 0),
        ("plugins", 0),
        ("doctor", 1),
    ],
)
def test_a_command_without_a_terminal_prints_results_and_notes_alone(arguments, lines, zoo, places):
    result = zoo(*(places.get(word, word) for word in arguments.split()))
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("\n") == lines, result.stderr
    assert not re.search(r"[\r\x1b]", result.stdout + result.stderr)


def test_a_task_that_seldom_advances_has_a_rate_too(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    clock = itertools.count(0, 40)
    monkeypatch.setattr("rich.console.monotonic", lambda: float(next(clock)))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar("hatching") as advance:
        for step in (1, 2, 3):
            advance(step, 10, "")
    assert re.search(r"\d+\.\d s each", sys.stderr.getvalue())
