"""The pages that teach run as they stand: their files make a distribution, their commands say what is shown."""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from zoo.scaffolding import written

ROOT = Path(__file__).parent.parent
PAGES = {"birds": ROOT / "plugins/README.md", "series": ROOT / "docs/modality.md"}


@dataclass(frozen=True)
class Session:
    """A folder where the distribution of a page is written and installed, and commands are run."""

    folder: Path

    def write(self, path, content):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{file.read_text()}\n\n{content}" if file.exists() else content)

    def install(self):
        """Do what `pip install --editable .` does, by the pyproject.toml that the page has shown."""
        project = tomllib.loads((self.folder / "pyproject.toml").read_text())["project"]
        points = "".join(f"{name} = {module}\n" for name, module in project["entry-points"]["modalzoo"].items())
        info = self.folder / f"installed/{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
        (info / "entry_points.txt").write_text(f"[modalzoo]\n{points}")

    def run(self, script):
        env = {name: value for name, value in os.environ.items() if not name.startswith("ZOO_")}
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
        env["COLUMNS"] = "80"
        env["PYTHONPATH"] = os.pathsep.join([str(self.folder), str(self.folder / "installed")])
        command = ["bash", "-euc", script]
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def follow(session, blocks):
    """Do all that a page says, in its order."""
    for path, language, content in blocks:
        if path:
            session.write(path, content)
        elif language == "sh":
            first, _, rest = content.partition("\n")
            if first == "pip install --editable .":
                session.install()
                content = rest
            session.run(content)
        else:
            assert language == "console", f"a block of {language} without a file's name"
            command, _, shown = content.partition("\n")
            assert session.run(command.removeprefix("$ ")) == shown


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_from_its_first_block_to_its_last(name, tmp_path, blocks_of):
    session = Session(tmp_path)
    follow(session, blocks_of(PAGES[name]))
    assert (tmp_path / "bundle/manifest.json").exists()
    session.run(f"python -c \"import sys, zoo_{name}.modality; sys.exit('torch' in sys.modules)\"")
    if name == "birds":
        said = session.run("python -m pytest -q -W error -p no:cacheprovider -p no:xdist tests")
        assert re.search(r"\d+ passed", said)


def test_the_exporter_of_the_page_is_the_one_that_is_scaffolded(blocks_of):
    shown = {path: content for path, _, content in blocks_of(ROOT / "exporters/README.md") if path}
    scaffolded = dict(written("exporter", "programs"))
    assert shown == {path: scaffolded[path] for path in ("zoo_programs/__init__.py", "zoo_programs/exporter.py")}
