"""What the Makefile installs: little for the quickstart, extras for the tests, all of it pinned, and no other torch."""

import os
import re
import subprocess
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
CUDA = re.compile(r"nvidia-|cuda-|cupy|triton")
PINNED = {
    canonicalize_name(name): pin
    for name, pin in re.findall(r"^([\w.-]+)==([^;\s]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}
# Stands for the Python of an environment: what is installed is a file, and the extras bring one more line of it.
PYTHON = """#!/bin/sh
case "$*" in
    *"pip list"*) cat "$INSTALLED";;
    *requirements-extras.txt*) echo "$BROUGHT" >> "$INSTALLED";;
esac
"""


def stated(file):
    """Return the requirements of a file; a folder stands for its distribution."""
    for line in (ROOT / file).read_text().splitlines():
        text = line.partition("#")[0].strip().removeprefix("-e ")
        if text:
            name, bracket, extras = text.partition("[")
            folder = "modalzoo" if name == "." else f"modalzoo-{name.partition('/')[2]}"
            yield Requirement((folder if name == "." or "/" in name else name) + bracket + extras)


def closure(requirements):
    """Return the names of what is installed for some requirements."""
    found, asked = set(), list(requirements)
    while asked:
        requirement = asked.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in found or not (requirement.marker is None or requirement.marker.evaluate()):
            continue
        found.add((name, extras))
        for inner in map(Requirement, distribution(name).requires or ()):
            marker = inner.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
                inner.marker = None
                asked.append(inner)
    return {name for name, _ in found}


def make(*arguments, **environment):
    env = {**os.environ, **environment}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-extras.txt"])
def test_all_that_is_installed_is_pinned(file):
    own = re.compile(r"modalzoo|" + CUDA.pattern)
    installed = {name: version(name) for name in closure(stated(file)) if not own.match(name)}
    assert installed
    assert {name: found.partition("+")[0] for name, found in installed.items()} == {
        name: PINNED.get(name) for name in installed
    }


def test_no_extra_brings_cuda_that_torch_does_not():
    assert not [
        name
        for name in closure(stated("requirements-extras.txt")) - closure([Requirement("torch")])
        if CUDA.match(name)
    ]


def test_the_quickstart_needs_no_tool_of_the_tests():
    assert not {"pytest", "hypothesis", "mypy", "ruff", "tensorboardx", "espeakng-loader"} & closure(
        stated("requirements.txt")
    )


def test_the_quickstart_installs_no_extras_and_the_tests_do(tmp_path):
    quickstart, tests = (make("-n", goal, f"VENV={tmp_path}").stdout for goal in ("quickstart", "test"))
    assert "-r requirements.txt" in quickstart
    assert "requirements-extras.txt" not in quickstart
    assert tests.index("-r requirements.txt") < tests.index("-r requirements-extras.txt") < tests.index("-m pytest")


@pytest.fixture
def environment(tmp_path):
    """An environment whose installer is a few lines of shell."""
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    installed = tmp_path / "installed.txt"
    installed.write_text("numpy==2.0\ntorch==2.13.0+cpu\n")
    return f"VENV={python.parent.parent}", installed


@pytest.mark.parametrize("brought", ["torch==2.14.0", "nvidia-nccl-cu12==2.27.5", "triton==3.4.0"])
def test_an_extra_that_changes_torch_or_brings_cuda_is_refused(brought, environment):
    venv, installed = environment
    done = make("extras", venv, INSTALLED=str(installed), BROUGHT=brought)
    assert done.returncode != 0
    assert f"> {brought}" in done.stdout
    assert "requirements-extras.txt changes torch, or brings CUDA" in done.stderr
    assert not list(installed.parent.glob("venv/extras"))


def test_extras_are_installed_once(environment):
    venv, installed = environment
    for _ in range(2):
        assert make("extras", venv, INSTALLED=str(installed), BROUGHT="torchmetrics==1.9.0").returncode == 0
    assert installed.read_text().count("torchmetrics") == 1
