"""What `zoo plugin new` writes: pinned, and a plugin that passes its contracts, trains and exports unchanged.

`python tests/test_scaffolding.py` pins anew what was meant to change.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from zoo.discovery.entry_points import entry_points
from zoo.discovery.plugins import Plugins, load_plugin
from zoo.errors import UsageError
from zoo.scaffolding import KINDS, scaffold, written

PINNED = Path(__file__).parent / "scaffolds"
NAME = "time-series"


def load_all() -> Plugins:
    return Plugins(tuple(map(load_plugin, entry_points("modalzoo"))))


def page(kind: str) -> str:
    return "".join(f"==> {path} <==\n{content}\n" for path, content in written(kind, NAME))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_pinned(kind):
    assert page(kind) == (PINNED / f"{kind}.txt").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_its_tests_bring_no_second_onnxruntime(kind):
    project = tomllib.loads(dict(written(kind, NAME))["pyproject.toml"])["project"]
    extras = project["optional-dependencies"]
    wanted, asked = set(project["dependencies"]), ["test"]
    for name in asked:
        for requirement in map(Requirement, extras[name]):
            wanted.add(str(requirement))
            if requirement.name == project["name"]:
                asked += sorted(requirement.extras)
    assert not [requirement for requirement in wanted if "onnxruntime" in requirement]
    assert not {"cpu", "gpu"} & {extra for requirement in wanted for extra in Requirement(requirement).extras}
    assert (extras["cpu"], extras["gpu"]) == (["modalzoo[cpu]"], ["modalzoo[gpu]"])


def checked(*command, cwd):
    done = subprocess.run((sys.executable, "-m", *command), cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_linted_and_formatted(kind, tmp_path):
    folder = scaffold(kind, NAME, tmp_path, plugins=Plugins(()))
    checked("ruff", "check", "--isolated", "--line-length=120", "--select=E,F,I,UP,B,RUF,PT,SIM", ".", cwd=folder)
    checked("ruff", "format", "--check", "--isolated", "--line-length=120", ".", cwd=folder)


def test_what_is_written_is_typed(tmp_path):
    folders = [scaffold(kind, f"{kind}-of-mine", tmp_path, plugins=Plugins(())) for kind in KINDS]
    packages = [path.parent for folder in folders for path in folder.glob("zoo_*/__init__.py")]
    assert len(packages) == len(KINDS)
    checked("mypy", "--strict", f"--cache-dir={tmp_path / 'cache'}", *packages, cwd=tmp_path)


def installed_scaffold(kind, place):
    """Return the folder of a fresh scaffold, and what runs a command beside the first-party plugins."""
    folder = scaffold(kind, NAME, place, plugins=Plugins(()))
    metadata = folder / "installed/modalzoo_time_series-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: modalzoo-time-series\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text("[modalzoo]\ntime-series = zoo_time_series\n")
    env = {key: value for key, value in os.environ.items() if not key.startswith("ZOO_")}
    env["PYTHONPATH"] = os.pathsep.join(map(str, (folder, metadata.parent)))

    def run(*command):
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return folder, run


@pytest.fixture(scope="module", params=KINDS)
def stranger(request, tmp_path_factory):
    """The kind of a fresh scaffold, and what runs a command beside it."""
    return request.param, installed_scaffold(request.param, tmp_path_factory.mktemp("stranger"))[1]


def test_it_passes_its_own_contracts(stranger):
    _, run = stranger
    said = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "error")
    assert " passed" in said
    assert "skipped" not in said


def test_it_trains_exports_and_runs_as_its_readme_says(stranger):
    kind, run = stranger
    (block,) = re.findall(r"```sh\n(.*?)```", dict(written(kind, NAME))["README.md"], re.DOTALL)
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert [line[0] for line in lines if line[0] != "zoo"] == ["pip", "pytest", "pip"]
    for name, *rest in lines:
        if name == "zoo":
            quickly = {"train": ["-o", "training.steps=30"], "run": ["--json"]}.get(rest[0], [])
            answer = run(str(Path(sys.executable).with_name("zoo")), *rest, *quickly)
    graph = "encode_row" if kind == "modality" else "encode_picture"
    assert len(json.loads(answer)[f"{graph}.latent"][0]) == (4 if kind == "modality" else 8)


PAIRS = """
from zoo import Sample
from zoo_time_series.waves import Waves


class Pairs(Waves):
    @property
    def inputs(self):
        return {"row": "time-series", "name": "text"}

    def split(self, name):
        told = ((one, f"a {one.labels['pace']} wave") for one in super().split(name))
        return [Sample(one.key, {**one.inputs, "name": words}, one.labels) for one, words in told]
"""
TEXT = '{modality = "text", encoder = "bag-of-embeddings", decoder = "bag-of-words"}'


@pytest.mark.verify
@pytest.mark.parametrize("objective", ["mopoe", "mvae", "mmvae", "mvtcae", "jmvae", "dmvae"])
def test_a_modality_of_ones_own_is_joined_with_a_text_and_exported(objective, tmp_path):
    folder, run = installed_scaffold("modality", tmp_path)
    (folder / "zoo_time_series/pairs.py").write_text(PAIRS)
    entry = folder / "zoo_time_series/__init__.py"
    waves = '"time-series-waves": "zoo_time_series.waves:Waves"'
    assert waves in entry.read_text()
    entry.write_text(entry.read_text().replace(waves, f'{waves}, "pairs": "zoo_time_series.pairs:Pairs"'))
    zoo = str(Path(sys.executable).with_name("zoo"))
    options = [f"spec.objective={objective}", f"spec.inputs.name={TEXT}", "data.name=pairs", "training.steps=200"]
    run(zoo, "train", "recipe.toml", *(word for option in options for word in ("-o", option)), "--out", "run")
    run(zoo, "export", "run", "--to", "onnx", "--out", "bundle")
    assert (folder / "bundle/embed.onnx").is_file()
    run(zoo, "parity", "bundle")


@pytest.mark.parametrize("name", ["Time", "time_series", "../time", "", "time-", "1time", "a b", "a" * 41])
def test_a_name_that_no_package_can_have_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match="expected a name of at most 40 small letters"):
        scaffold("modality", name, tmp_path, plugins=Plugins(()))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("kind", "name"), [("encoder", "mlp"), ("objective", "vae"), ("dataset", "image")])
def test_a_name_that_is_taken_is_refused(kind, name, tmp_path):
    with pytest.raises(UsageError, match=f"an installed plugin has the {kind} or the package of the name '{name}'"):
        scaffold(kind, name, tmp_path, plugins=load_all())
    assert not list(tmp_path.iterdir())


def test_the_command_prints_the_folder_and_overwrites_nothing(zoo, tmp_path):
    result = zoo("plugin", "new", "modality", NAME, "--out", tmp_path)
    folder = tmp_path / "modalzoo-time-series"
    assert (result.exit_code, result.stdout) == (0, f"{folder}\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = zoo("plugin", "new", "modality", NAME, "--out", tmp_path)
    assert again.exit_code == 2
    assert (
        f"{folder} holds '.github', 'README.md', 'pyproject.toml' and 3 more; choose another place, or remove it"
        in again.stderr
    )
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    for kind in KINDS:
        (PINNED / f"{kind}.txt").write_text(page(kind))
