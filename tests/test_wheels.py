"""What users install: wheels in fresh environments beside a stranger's, no checkout, with torch and without it."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.discovery.plugins import Plugins
from zoo.scaffolding import scaffold

ROOT = Path(__file__).parent.parent
RUNTIME = "onnxruntime-gpu" if sys.platform == "linux" else "onnxruntime"
WAVE = "0 .4 .7 .9 1 .9 .7 .4 0 -.4 -.7 -.9 -1 -.9 -.7 -.4"
CONSTRAINED = {"PIP_CONSTRAINT": str(ROOT / "constraints.txt"), "PIP_BUILD_CONSTRAINT": str(ROOT / "constraints.txt")}
INSTALLS = re.findall(r"^pip install --find-links dist (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
pytestmark = [pytest.mark.verify, pytest.mark.xdist_group("wheels")]  # one process builds the environments once


def run(*command, constraints=None, **settings):
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" and not key.startswith("ZOO_")}
    env = {**outside, **CONSTRAINED, **({"PIP_CONSTRAINT": str(constraints)} if constraints else {})}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, env=env, **settings)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Environment:
    """A fresh virtual environment, and commands run in it from a folder without a checkout."""

    folder: Path

    def install(self, *packages, constraints=None):
        run(self.folder / "bin/python", "-m", "pip", "install", "--quiet", *packages, constraints=constraints)

    def __call__(self, *command, cwd):
        return run(self.folder / "bin" / command[0], *command[1:], cwd=cwd)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """What `make dist` builds, by distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    run("make", "dist", f"DIST={folder}", cwd=ROOT)
    return {wheel.name.split("-")[0].replace("_", "-"): wheel for wheel in folder.glob("*.whl")}


@pytest.fixture(scope="module")
def strangers(tmp_path_factory, blocks_of):
    """The folders of two plugins: one that was scaffolded, one written from the page for plugin authors alone."""
    page = tmp_path_factory.mktemp("birds")
    for path, _, content in blocks_of(ROOT / "plugins/README.md"):
        if path and "zoo_registries" not in content:  # no entry is trained yet
            file = page / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text((f"{file.read_text()}\n\n" if file.exists() else "") + content)
    scaffolded = scaffold("modality", "time-series", tmp_path_factory.mktemp("scaffold"), plugins=Plugins(()))
    return {"time-series": scaffolded, "birds": page}


@pytest.fixture(scope="module")
def strange_wheels(strangers, tmp_path_factory):
    """Their wheels."""
    folder = tmp_path_factory.mktemp("strange")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, *strangers.values())
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def training(wheels, strange_wheels, tmp_path_factory):
    """An environment with every wheel, the strangers' and torch."""
    made = Environment(tmp_path_factory.mktemp("training"))
    run(sys.executable, "-m", "venv", made.folder)
    made.install(*wheels.values(), *strange_wheels, "modalzoo[train,test]", RUNTIME)
    return made


@pytest.fixture(scope="module")
def serving(wheels, strange_wheels, tmp_path_factory):
    """An environment as the front page installs it to serve texts and pictures, with data sets beside; no torch."""
    made = Environment(tmp_path_factory.mktemp("serving"))
    run(sys.executable, "-m", "venv", made.folder)
    (line,) = [line for line in INSTALLS if "modalzoo-text" in line]
    own = shlex.split(line, comments=True)
    made.install("--find-links", wheels["modalzoo"].parent, *own, "modalzoo-datasets", *strange_wheels)
    return made


def lower_bounds():
    """Return the lowest version of each dependency that the distributions accept; torch alone is the one tested."""
    lowest = {}
    for path in [
        ROOT / "pyproject.toml",
        *ROOT.glob("plugins/*/pyproject.toml"),
        *ROOT.glob("exporters/*/pyproject.toml"),
    ]:
        project = tomllib.loads(path.read_text())["project"]
        extras = project.get("optional-dependencies", {})
        for requirement in [*project["dependencies"], *extras.get("train", []), *extras.get("cpu", [])]:
            if (bound := re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement)) and not bound[1].startswith("openvino"):
                version = tuple(map(int, bound[2].split(".")))
                lowest[bound[1]] = max(lowest.get(bound[1], (0,)), version)
    found = {name: ".".join(map(str, version)) for name, version in lowest.items()}
    (tested,) = re.findall(r"^torch==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return {**found, "torch": tested}  # an older one brings gigabytes of CUDA


def environment_of(packages, folder, constraints):
    """Return a fresh environment with some packages at the versions of a constraints file."""
    made = Environment(folder)
    run(sys.executable, "-m", "venv", folder)
    made.install(*packages, constraints=constraints)
    return made


def versions_in(environment, cwd):
    """Return the version of every distribution that is installed."""
    listed = json.loads(environment("python", "-m", "pip", "list", "--format=json", cwd=cwd))
    return {one["name"].lower(): one["version"] for one in listed}


def test_the_lowest_versions_that_are_accepted_pass_the_quickstart(wheels, tmp_path):
    constraints = tmp_path / "lowest.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in lower_bounds().items()))
    apart = ("modalzoo", "modalzoo-openvino", "modalzoo-transformers")
    parts = [wheel for name, wheel in wheels.items() if name not in apart]
    lowest = environment_of([f"{wheels['modalzoo']}[train,cpu]", *parts], tmp_path / "environment", constraints)
    assert versions_in(lowest, tmp_path)["pillow"].startswith(lower_bounds()["pillow"])
    lowest("zoo", "quickstart", cwd=tmp_path)
    lowest("zoo", "export", "fashion-vae", "--out", "bundle", cwd=tmp_path)
    np.save(tmp_path / "latent.npy", np.zeros((1, 16), np.float32))
    lowest("zoo", "run", "bundle", "decode_picture", "-i", "latent=latent.npy", "--out", "pictures", cwd=tmp_path)
    assert list((tmp_path / "pictures").glob("*.png"))


@pytest.mark.parametrize("line", INSTALLS, ids=range(len(INSTALLS)))
def test_what_the_front_page_says_to_install_brings_what_it_says(line, wheels):
    asked = shlex.split(line, comments=True)
    folder = wheels["modalzoo"].parent
    dry = ("--dry-run", "--ignore-installed", "--quiet", "--report", "-")
    told = run(sys.executable, "-m", "pip", "install", *dry, "--find-links", folder, *asked)
    brought = {one["metadata"]["name"].lower() for one in json.loads(told)["install"]}
    assert ("torch" in brought) == ("train" in line)
    assert {name for name in brought if name.startswith("onnxruntime")} == {
        "onnxruntime-gpu" if "gpu" in line else "onnxruntime"
    }
    assert ("modalzoo-text" in brought) == ("all" in asked[0] or "modalzoo-text" in asked)


def test_every_folder_of_a_distribution_becomes_a_wheel(wheels):
    folders = [*ROOT.glob("plugins/*/pyproject.toml"), *ROOT.glob("exporters/*/pyproject.toml")]
    assert set(wheels) == {"modalzoo", *(f"modalzoo-{path.parent.name}" for path in folders)}


def test_the_cores_wheel_holds_zoo_alone(wheels):
    names = zipfile.ZipFile(wheels["modalzoo"]).namelist()
    assert {name.split("/")[0] for name in names} == {"zoo", f"modalzoo-{zoo.__version__}.dist-info"}
    assert "zoo/registry.toml" in names


def test_nothing_is_installed_editable_and_nothing_comes_from_the_checkout(training, tmp_path):
    listed = training("python", "-m", "pip", "list", "--format=json", "--editable", cwd=tmp_path)
    assert json.loads(listed) == []
    assert str(ROOT) not in training("python", "-c", "import zoo, zoo_text; print(zoo, zoo_text)", cwd=tmp_path)


def test_the_quickstart_runs_from_wheels_alone(training, tmp_path):
    training("zoo", "quickstart", cwd=tmp_path)
    assert (tmp_path / "quickstart/index.html").exists()


@pytest.mark.parametrize(
    ("name", "graph", "value", "parts"),
    [
        ("time-series", "encode_row", f"row={WAVE}", {"modality time-series", "encoder time-series/mlp"}),
        ("birds", "encode_seen", "seen=heron 3, wren 1", {"modality counts", "objective compression", "dataset walks"}),
    ],
)
def test_a_strangers_plugin_goes_the_whole_line_and_is_served_without_torch(
    name, graph, value, parts, training, serving, strangers, tmp_path
):
    plugins = json.loads(training("zoo", "plugins", "--json", cwd=tmp_path))
    assert not [plugin["fault"] for plugin in plugins if plugin["fault"]]
    checked = json.loads(training("zoo", "plugin", "check", f"modalzoo-{name}", "--json", cwd=tmp_path))
    assert {found["name"] for found in checked} >= parts
    training("zoo", "train", strangers[name] / "recipe.toml", "--out", "run", cwd=tmp_path)
    training("zoo", "export", "run", "--to", "onnx", "--out", "bundle", cwd=tmp_path)
    training("zoo", "parity", "bundle", cwd=tmp_path)
    answers = []
    for environment in (training, serving):
        said = environment("zoo", "run", "bundle", graph, "-i", value, "--json", cwd=tmp_path)
        answers.append(json.loads(said)[f"{graph}.latent"])
    assert answers[0] == answers[1]


def test_bundles_of_entries_run_where_torch_is_not_installed(training, serving, tmp_path):
    training("zoo", "export", "emoji-search", "--out", "bundle", cwd=tmp_path)
    found = serving("python", "-c", "import importlib.util as u; print(u.find_spec('torch'))", cwd=tmp_path)
    assert found.strip() == "None"
    listed = json.loads(serving("zoo", "list", "--json", cwd=tmp_path))
    assert {"emoji-search", "fashion-vae"} <= {entry["name"] for entry in listed}
    serving("zoo", "parity", "bundle", cwd=tmp_path)
    said = serving("zoo", "run", "bundle", "encode_caption", "-i", "caption=red heart", "--json", cwd=tmp_path)
    (embedding,) = json.loads(said)["encode_caption.embedding"]
    assert sum(value * value for value in embedding) == pytest.approx(1, abs=1e-5)


def test_the_newest_onnxruntime_agrees_with_the_one_that_exported(training, wheels, tmp_path):
    training("zoo", "export", "emoji-search", "--out", "bundle", cwd=tmp_path)
    pinned = (ROOT / "constraints.txt").read_text()
    constraints = tmp_path / "newest.txt"
    constraints.write_text(re.sub(r"^onnxruntime.*\n", "", pinned, flags=re.MULTILINE))
    parts = [wheels[part] for part in ("modalzoo-text", "modalzoo-image", "modalzoo-datasets")]
    newest = environment_of([f"{wheels['modalzoo']}[cpu]", *parts], tmp_path / "environment", constraints)
    (tested,) = re.findall(r"^onnxruntime-gpu==([\d.]+)", pinned, re.MULTILINE)
    numbers = [[*map(int, version.split("."))] for version in (versions_in(newest, tmp_path)["onnxruntime"], tested)]
    assert numbers[0] >= numbers[1]
    newest("zoo", "parity", "bundle", cwd=tmp_path)
