"""What the tests of the core share: a toy plugin, a place for tiny distributions, and the command ``zoo``."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

TOY = Path(__file__).parent / "toy"
TOY_METADATA = TOY / "metadata"
ZOO = Path(sys.executable).parent / "zoo"
sys.path.append(str(TOY))


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code and what it printed where."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self):
        return json.loads(self.stdout)

    @property
    def error(self):
        """The message, after a look that it is all there is: one paragraph that starts with ``error:``."""
        assert self.stdout == ""
        assert self.stderr.startswith("error: "), self.stderr
        assert self.stderr.count("\n") == 1, self.stderr
        return self.stderr.removeprefix("error: ").strip()


@dataclass(frozen=True)
class Site:
    """A folder on ``sys.path`` that holds tiny distributions."""

    folder: Path

    def add(self, name, source, *, version="1.0", files=None):
        """Install ``modalzoo-name``, whose entry point is the package ``zoo_name`` with ``source``."""
        package = self.folder / f"zoo_{name}"
        for path, content in {"__init__.py": source, **(files or {})}.items():
            (package / path).parent.mkdir(parents=True, exist_ok=True)
            (package / path).write_text(dedent(content))
        metadata = self.folder / f"modalzoo_{name}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: modalzoo-{name}\nVersion: {version}\n")
        (metadata / "entry_points.txt").write_text(f"[modalzoo]\n{name} = zoo_{name}\n")


@pytest.fixture(scope="session")
def blocks_of():
    """Return the blocks of code of a page: the path above it, or None, its language, its content."""

    def blocks(page):
        found = re.finditer(r"(?:^`([\w./-]+)`\n\n)?^```(\w+)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        return [block.groups() for block in found]

    return blocks


@pytest.fixture
def no_settings(monkeypatch, tmp_path):
    """The environment of a fresh user, without a network."""
    for name in ("ZOO_REGISTRY", "ZOO_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ZOO_OFFLINE", "1")


@pytest.fixture
def fresh_plugins():
    """Forget what was discovered, before and after."""
    from zoo.discovery.plugins import installed

    before = set(sys.modules)
    installed.cache_clear()
    yield
    installed.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith("zoo_") and not name.startswith("zoo_toy"):
            del sys.modules[name]


@pytest.fixture
def site(tmp_path, monkeypatch, no_settings, fresh_plugins):
    """A place for tiny distributions; the toy plugin is installed beside them, and no first-party one."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(TOY_METADATA)
    monkeypatch.syspath_prepend(folder)
    own = [point.dist.name for point in importlib.metadata.entry_points(group="modalzoo") if "toy" not in point.name]
    monkeypatch.setenv("ZOO_PLUGINS", ",".join(f"-{name}" for name in own))
    return Site(folder)


@pytest.fixture
def zoo(site, monkeypatch, capsys):
    """Run the command ``zoo`` in this process."""
    from zoo.cli import main

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as left:
            code = left.code or 0
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def zoo_process(site):
    """Start the installed command ``zoo`` in a separate process, where the toy and the tiny distributions are."""

    def start(*arguments, launcher=(), **environment):
        path = os.pathsep.join(map(str, (site.folder, TOY, TOY_METADATA)))
        return subprocess.Popen(
            [*launcher, ZOO, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
        )

    return start


@pytest.fixture
def run_process(zoo_process):
    """Run the installed command to its end."""

    def run(*arguments, **environment):
        process = zoo_process(*arguments, **environment)
        stdout, stderr = process.communicate(timeout=120)
        return Result(process.returncode, stdout, stderr)

    return run


@pytest.fixture(scope="session")
def plugins():
    """The toy plugin alone."""
    from zoo.discovery.entry_points import EntryPoint
    from zoo.discovery.plugins import Plugins, load_plugin

    return Plugins((load_plugin(EntryPoint("toy", "zoo_toy", "modalzoo-toy", "1.0")),))


def tables(objective="toy-autoencoder", data=None, **training):
    part = {"modality": "vectors", "encoder": {"name": "linear", "features": 5}, "decoder": "gaussian"}
    return {
        "spec": {"objective": objective, "latent_dim": 2, "inputs": {"right": part, "left": part}},
        "data": {"name": "toy", **(data or {})},
        "training": {"steps": 12, "batch_size": 8, "learning_rate": 0.01, "checkpoint_every": 4, **training},
    }


@pytest.fixture(scope="session")
def make_recipe():
    """Make a recipe of toy parts; keywords are settings of its training."""
    from zoo.recipes.spec import Recipe

    def make(objective="toy-autoencoder", data=None, **training):
        return Recipe.read(tables(objective, data, **training), "toy.toml")

    return make


@pytest.fixture
def recipe_file(tmp_path, make_recipe):
    """Write a recipe as a file of TOML."""

    def write(*arguments, **training):
        path = tmp_path / "toy.toml"
        path.write_text(make_recipe(*arguments, **training).toml())
        return path

    return write


@pytest.fixture(scope="session")
def trained(tmp_path_factory, plugins, make_recipe):
    """The path of a trained checkpoint; it lies in the folder of its run."""
    from zoo.training.train import train

    return train(make_recipe(), tmp_path_factory.mktemp("trained") / "run", plugins=plugins)


@pytest.fixture(scope="session")
def interrupted(plugins):
    """Train with an interruption, as by a kill, when a step is logged; return the path of the last checkpoint."""
    from zoo.training.train import train

    class Killed(Exception):
        pass

    def run(recipe, folder, *, at=20):
        def kill(taken):
            if taken.step == at:
                raise Killed

        with pytest.raises(Killed):
            train(recipe, folder, observe=kill, plugins=plugins)
        return train(recipe, folder, resume=True, plugins=plugins)

    return run


@pytest.fixture(scope="session")
def weights(plugins):
    """Return the weights of a checkpoint by name."""
    from zoo.models.checkpoint import load

    return lambda path: load(path, plugins=plugins).model.objective.state_dict()


@pytest.fixture(scope="session")
def checkpoint(trained, plugins):
    """A trained checkpoint, loaded."""
    from zoo.models.checkpoint import load

    return load(trained, plugins=plugins)


@pytest.fixture(scope="session")
def exported(tmp_path_factory, checkpoint, plugins):
    """The folder of a bundle; read it only."""
    from zoo.discovery.components import make_exporter
    from zoo.exporting.bundle import export
    from zoo.runtime.records import Origin

    folder = tmp_path_factory.mktemp("exported") / "bundle"
    export(checkpoint, make_exporter("toy", plugins), folder, origin=Origin("toy", "MIT", "CC0-1.0"))
    return folder


@pytest.fixture(scope="session")
def rewrite():
    """Change the manifest of a bundle and seal it again, and with ``files`` bind all that lies there as it is now."""
    from zoo.files.store import digests
    from zoo.runtime.manifest import sealed

    def changed(folder, change=lambda manifest: None, *, files=False):
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text())
        change(manifest)
        if files:
            manifest["files"] = {name: digest for name, digest in digests(folder).items() if name != path.name}
        path.write_text(json.dumps(sealed(manifest)))

    return changed


@pytest.fixture
def bundle(exported, tmp_path):
    """A copy of the bundle, to be spoilt."""
    import shutil

    return shutil.copytree(exported, tmp_path / "bundle")


@pytest.fixture
def table(make_recipe):
    """The table of one sound entry."""
    return {
        "summary": "a toy",
        "recipe": make_recipe().written(),
        "parameters": 66,
        "license": "MIT",
        "data_license": "CC0-1.0",
        "revision": "2026-11-23",
        "size": 1000,
        "sha256": "0123456789abcdef" * 4,
        "sources": ["toy.safetensors"],
        "plugins": ["modalzoo-toy"],
        "metrics": {"recall@10": {"value": 0.5, "tolerance": 0.01}},
    }
