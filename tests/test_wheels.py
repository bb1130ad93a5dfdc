"""What users install: wheels of the core and the plugins, in a fresh environment without torch or a checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVING = (".", "plugins/text", "plugins/image", "plugins/datasets")
pytestmark = pytest.mark.verify


def run(*command: object, **settings: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, *(ROOT / part for part in SERVING))
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheels, tmp_path_factory):
    """A fresh environment with the wheels and onnxruntime, and no torch."""
    folder = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", folder)
    runtime = "onnxruntime-gpu" if sys.platform == "linux" else "onnxruntime"
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", *wheels, runtime)
    return folder / "bin/python"


def test_the_cores_wheel_holds_zoo_alone(wheels):
    (core,) = (wheel for wheel in wheels if wheel.name.startswith("modalzoo-"))
    names = zipfile.ZipFile(core).namelist()
    assert {name.split("/")[0] for name in names} == {"zoo", "modalzoo-0.1.0.dist-info"}
    assert "zoo/registry.toml" in names


def test_a_bundle_runs_where_torch_is_not_installed(python, tmp_path):
    bundle = tmp_path / "bundle"
    run(Path(sys.executable).with_name("zoo"), "export", "emoji-search", "--out", bundle)
    outside = {"cwd": tmp_path, "env": {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}}
    assert run(python, "-c", "import importlib.util as u; print(u.find_spec('torch'))", **outside).strip() == "None"
    zoo = python.with_name("zoo")
    listed = json.loads(run(zoo, "list", "--json", **outside))
    assert {"emoji-search", "fashion-vae"} <= {entry["name"] for entry in listed}
    run(zoo, "parity", bundle, **outside)
    answer = json.loads(run(zoo, "run", bundle, "encode_caption", "-i", "caption=red heart", "--json", **outside))
    (embedding,) = answer["encode_caption.embedding"]
    assert sum(value * value for value in embedding) == pytest.approx(1, abs=1e-5)
