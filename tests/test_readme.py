"""The front page, in English and Chinese: what it tells to install is there, its Python is run, both agree."""

import ast
import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

import zoo
from zoo.cli import COMMANDS

ROOT = Path(__file__).parent.parent
README, CHINESE = ROOT / "README.md", ROOT / "docs/README.zh.md"
PAGES = (README, CHINESE)
REFERENCE, FUNCTIONS = ROOT / "docs/commands.md", ROOT / "docs/python.md"
# Commands that no function of their own stands for, and why.
WITHOUT_FUNCTION = {"quickstart": "a show for the terminal, which calls the functions of the others"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOLDERS = [path.parent for kind in ("plugins", "exporters") for path in sorted(ROOT.glob(f"{kind}/*/pyproject.toml"))]


def blocks(page, language=r"\w+"):
    return re.findall(rf"^```(?:{language})\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def section(page, number):
    """Return the text below the second-level heading of a number, from 0."""
    return re.split(r"^## .*$", page.read_text(), flags=re.MULTILINE)[number + 1]


# Plugins that a new user is not given: each brings a large package.
APART = {"modalzoo-openvino", "modalzoo-transformers"}


def to_install(page):
    """Return what each line of pip asks for."""
    lines = re.findall(r"^pip install --find-links dist (.+?)(?:\s+#.*)?$", section(page, 0), re.MULTILINE)
    return [[Requirement(one) for one in shlex.split(line)] for line in lines]


def test_the_page_begins_with_how_to_install():
    assert re.findall(r"^## (.*)$", README.read_text(), re.MULTILINE)[0] == "Install"
    assert re.findall(r"^make (\w+)", section(README, 0), re.MULTILINE) == ["setup", "dist"]


def test_the_extras_that_the_page_names_are_those_that_there_are():
    assert sorted(re.findall(r"^\| `(\w+)` \|", section(README, 0), re.MULTILINE)) == sorted(EXTRAS)


def test_the_distributions_that_the_page_names_are_those_that_there_are():
    named = re.findall(r"^\| `(modalzoo-\w+)` \|", section(README, 0), re.MULTILINE)
    assert sorted(named) == sorted(f"modalzoo-{folder.name}" for folder in FOLDERS)
    assert {f"modalzoo-{folder.name}" for folder in FOLDERS} - APART == set(EXTRAS["all"])


def test_what_the_page_installs_exists_and_one_runtime_comes_with_it():
    asked = to_install(README)
    assert len(asked) == 4
    for requirements in asked:
        extras = [extra for requirement in requirements for extra in requirement.extras]
        assert set(extras) <= set(EXTRAS)
        assert len({"cpu", "gpu"} & set(extras)) == 1
        assert {one.name for one in requirements} <= {"modalzoo", *EXTRAS["all"]}


def calls(source):
    """Return the public functions that some code calls, with the arguments of each."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and re.fullmatch(r"zoo\.\w+", name := ast.unparse(node.func)):
            yield name, len(node.args), [keyword.arg for keyword in node.keywords]


def test_the_functions_that_the_page_calls_take_what_it_gives_them():
    found = [call for block in blocks(README, "python") for call in calls(block)]
    for name, positional, keywords in found:
        function = getattr(zoo, name.removeprefix("zoo."))
        inspect.signature(function).bind(*[None] * positional, **dict.fromkeys(keywords))
    verbs = {name for name, _, _ in found}
    assert verbs >= {f"zoo.{verb}" for verb in ("entries", "info", "fetch", "train", "evaluate", "export", "judge")}
    assert verbs >= {f"zoo.{verb}" for verb in ("embed", "search", "data", "options", "new_plugin", "check_plugin")}


def test_beside_each_example_of_the_command_line_stands_one_of_python():
    found = re.findall(r"^```(\w+)\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    pages = [(language, block) for language, block in found if language in ("sh", "python")]
    for place, (language, block) in enumerate(pages):
        if language == "sh" and not block.startswith(("make ", "pip ")):
            assert "python" in [language for language, _ in pages[place + 1 : place + 2]], block


def headings(page):
    """Return the levels of a page's headings, in their order."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [len(level) for level in re.findall(r"^(#+) ", text, re.MULTILINE)]


def without_comments(block):
    return re.sub(r"\s+# .*$", "", block, flags=re.MULTILINE)


def test_the_first_line_leads_to_the_page_in_the_other_language():
    for page, other in ((README, CHINESE), (CHINESE, README)):
        targets = re.findall(r"\]\(([^)]+)\)", page.read_text().splitlines()[0])
        assert other in [(page.parent / target).resolve() for target in targets]


def test_the_chinese_page_has_the_headings_of_the_english_one():
    assert headings(CHINESE) == headings(README)
    assert len(headings(README)) > 10


def test_the_chinese_page_has_the_examples_of_the_english_one():
    english, chinese = ([without_comments(block) for block in blocks(page)] for page in (README, CHINESE))
    assert chinese == english


def test_the_chinese_page_leads_where_the_english_one_leads():
    for number in range(len(headings(README)) - 1):
        english, chinese = (
            {(page.parent / target).resolve() for target in re.findall(r"\]\(([^)#]+)", section(page, number))}
            for page in (README, CHINESE)
        )
        assert chinese == english, number


def test_the_chinese_page_has_the_names_and_rows_of_the_english_one():
    for number in range(len(headings(README)) - 1):
        english, chinese = (re.sub(r"^```.*?^```", "", section(page, number), flags=re.M | re.S) for page in PAGES)
        assert len(re.findall(r"^\|", chinese, re.MULTILINE)) == len(re.findall(r"^\|", english, re.MULTILINE)), number
        names = [{name.replace("docs/", "") for name in re.findall(r"`([^`]+)`", text)} for text in (english, chinese)]
        assert names[0] == names[1], number


def test_the_chinese_page_has_no_line_break_within_a_sentence():
    """A browser shows a line break as a space, which no two Chinese characters have between them."""
    text = re.sub(r"^```.*?^```", "", CHINESE.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"[\u3000-\uffef]\n[\u3000-\uffef]", text) == []


def test_every_command_has_its_function_its_reference_and_its_line_in_chinese():
    """Name what a command lacks: a row of each front page, a function in Python, a place in the reference."""
    lacking = []
    reference = REFERENCE.read_text() if REFERENCE.exists() else README.read_text()
    for command in COMMANDS:
        rows = [re.search(rf"^\| `zoo {command}` \|.*\|$", page.read_text(), re.MULTILINE) for page in PAGES]
        lacking += [f"{command}: its line in {page.name}" for page, row in zip(PAGES, rows, strict=True) if not row]
        functions = re.findall(r"`zoo\.(\w+)`", rows[0][0]) if rows[0] else []
        if not functions and command not in WITHOUT_FUNCTION:
            lacking.append(f"{command}: its function in Python")
        lacking += [f"{command}: zoo.{name}, which is not public" for name in functions if name not in zoo.__all__]
        if not re.search(rf"`zoo {command}`|^#+ .*zoo {command}\b", reference, re.MULTILINE):
            lacking.append(f"{command}: its reference")
    assert lacking == []
    assert set(WITHOUT_FUNCTION) <= set(COMMANDS)


def test_the_page_on_python_has_each_command_with_the_functions_of_the_front_page():
    shown = {command: set() for command in COMMANDS}
    for command, code in re.findall(r"^\| `zoo (\w+)[^|]*\|(.*)\|$", FUNCTIONS.read_text(), re.MULTILINE):
        for call in re.findall(r"`(zoo\.[^`]+\))", code):
            for name, positional, keywords in calls(call.replace("…", "...")):
                function = getattr(zoo, name.removeprefix("zoo."))
                inspect.signature(function).bind(*[None] * positional, **dict.fromkeys(keywords))
                shown[command].add(name)
    rows = {command: re.search(rf"^\| `zoo {command}` \|.*\|$", README.read_text(), re.M)[0] for command in COMMANDS}
    assert shown == {command: set(re.findall(r"`(zoo\.\w+)`", row)) for command, row in rows.items()}
    assert [command for command in COMMANDS if not shown[command]] == [*WITHOUT_FUNCTION]


@pytest.fixture
def folder(tmp_path):
    """What the examples of the page start from: photos and their captions, a recipe, a run of an entry's model."""
    generator = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    rows = ["picture,caption"]
    for number in range(1, 41):
        Image.fromarray(generator.integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / f"photos/img-{number}.jpg")
        rows.append(f"img-{number}.jpg,caption {number}")
    (tmp_path / "photos/captions.csv").write_text("\n".join(rows))
    (tmp_path / "captions.csv").write_text("caption\nred heart\ncrying cat\n")
    recipe = zoo.entries()["emoji-search"].recipe
    (tmp_path / "photos.toml").write_text(recipe.toml())
    zoo.train(recipe, tmp_path / "runs/tuned", options={"training.steps": 5})
    return tmp_path


def run_in(folder, *command):
    env = {name: value for name, value in os.environ.items() if not name.startswith("ZOO_")}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.verify
def test_the_python_of_the_page_runs_and_prints_what_it_says(folder):
    script = "\n".join(["import zoo", *blocks(README, "python")])
    printed = run_in(folder, sys.executable, "-c", script)
    for shown in re.findall(r"print\(.*\)  # (.+)$", script, re.MULTILINE):
        assert shown in printed
    assert (folder / "site/index.html").exists()


@pytest.mark.verify
def test_the_commands_of_the_page_run(folder):
    own_data = "zoo info emoji-search --recipe"  # which tests/test_own_data.py runs on pictures that can be learnt
    run_in(
        folder,
        "bash",
        "-euo",
        "pipefail",
        "-c",
        "\n".join(block for block in blocks(README, "sh") if not block.startswith(("make ", "pip ", own_data))),
    )
    assert (folder / "site/index.html").exists()
