"""The pages that teach run unchanged: their files make a distribution, their commands say what is shown."""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from zoo.scaffolding import written

ROOT = Path(__file__).parent.parent
PAGES = {"birds": ROOT / "plugins/README.md", "series": ROOT / "docs/modality.md"}
NOTEBOOK = ROOT / "docs/python.md"
DEPLOYMENT, JOINT = ROOT / "docs/deployment.md", ROOT / "docs/joint.md"
OWN = {ROOT / "docs/own-data.md", ROOT / "docs/publishing.md"}  # in test_own_data.py
TRAINING = ROOT / "docs/training.md"
# The Chinese front page has the blocks of the English one; both are in test_readme.py.
FRONT = {ROOT / "README.md", ROOT / "docs/README.zh.md"}
# Runs cells as a notebook does: what a cell prints, and the value of its last line, then a line that ends it.
CELLS = """
import ast, json, sys
names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1], encoding="utf-8")):
    *lines, last = ast.parse(cell).body
    shows = isinstance(last, ast.Expr)
    exec(compile(ast.Module(lines if shows else [*lines, last], []), "cell", "exec"), names)
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if shows else None
    if value is not None:
        print(repr(value))
    print("=====")
"""


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


def test_every_page_with_a_program_is_run_by_a_test(blocks_of):
    pages = [
        ROOT / "README.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("plugins/*/README.md"),
    ]
    programs = {page for page in pages if "python" in [language for _, language, _ in blocks_of(page)]}
    run = {*FRONT, *OWN, *PAGES.values(), NOTEBOOK, DEPLOYMENT, JOINT, TRAINING, ROOT / "exporters/README.md"}
    run.add(ROOT / "docs/pretrained.md")  # in plugins/transformers/tests
    assert programs - run == set()


@pytest.mark.verify
def test_the_pages_on_serving_run_as_they_stand(tmp_path, blocks_of):
    session = Session(tmp_path)
    session.write("captions.txt", "red heart\nbirthday cake\ncrying cat\n")
    Image.new("L", (28, 28)).save(tmp_path / "photo.png")
    session.run("zoo info emoji-search --recipe | sed 's/^steps = .*/steps = 20/' > emoji.toml")
    session.run(
        "zoo export fashion-joint --out bundles/fashion-joint --graph embed --graph translate_caption_to_picture"
    )
    for path, language, content in [*blocks_of(DEPLOYMENT), *blocks_of(JOINT)]:
        if path:
            session.write(path, content)
        elif " &\n" in content:  # a server, which the lines below it ask
            served = json.loads(session.run(f"trap 'kill %1' EXIT\n{content}"))
            assert served[0]["value"] == "red heart"
        elif language == "python":
            session.write("program.py", content)
            session.run("python program.py && rm program.py")
        elif language == "console":
            commands = re.findall(r"^\$ (.*)$", content, re.MULTILINE)
            shown = re.sub(r"^\$ .*$", "", content, flags=re.MULTILINE).split()
            *_, answer = map(session.run, commands)
            assert sorted(answer.split()) == sorted(shown)
        elif not content.startswith("sudo "):
            session.run(content)


@pytest.mark.verify
def test_the_page_on_training_runs_as_it_stands(tmp_path, blocks_of):
    session = Session(tmp_path)
    blocks = [(language, content) for _, language, content in blocks_of(TRAINING)]
    session.run("".join(content for language, content in blocks if language == "sh"))
    session.write("program.py", "\n".join(content for language, content in blocks if language == "python"))
    session.run("python program.py")


def answers_of(cells, folder):
    """Return what a notebook of these cells shows below each."""
    session = Session(folder)
    session.write("cells.json", json.dumps(cells))
    session.write("cells.py", CELLS)
    return session.run("python cells.py cells.json").split("=====\n")[:-1]


def is_as_shown(answer, shown):
    """Tell whether an answer is what a page shows: words unchanged, numbers about so, … for anything."""
    pairs = list(zip(answer.split(), shown.split(), strict=False))
    return len(answer.split()) == len(shown.split()) and all(
        number(one) == pytest.approx(number(other), rel=0.1)
        if number(one) is not None and number(other) is not None
        else re.fullmatch(".*".join(map(re.escape, other.split("…"))), one)
        for one, other in pairs
    )


def number(word):
    found = re.fullmatch(r"-?[\d,]*\.?\d+(e-?\d+)?", word.rstrip("%;,"))
    return float(found[0].replace(",", "")) if found else None


def test_the_page_on_python_shows_what_each_of_its_cells_answers(tmp_path, blocks_of):
    blocks = [(language, content) for _, language, content in blocks_of(NOTEBOOK)]
    assert [language for language, _ in blocks] == ["python", "text"] * (len(blocks) // 2)
    cells, shown = [content for _, content in blocks[::2]], [content for _, content in blocks[1::2]]
    answers = answers_of(cells, tmp_path)
    for cell, answer, expected in zip(cells, answers, shown, strict=True):
        assert is_as_shown(answer, expected), f"{cell}\nanswers\n{answer}"
