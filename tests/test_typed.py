"""A message names an option as the caller gave it: by its name in Python, as it is typed at the shell."""

import ast
import functools
import importlib
import logging
import re

import click
import pytest
from zoo_toy.sources import CORE, PLUGINS, ROOT

import zoo as public
from zoo import UsageError
from zoo.cli import COMMANDS, group
from zoo.cli.logs import Plain
from zoo.cli.typed import as_typed, remember

# Files that name options as they are typed: their own commands, and those of pytest, of Python, of a browser.
TYPED = {
    "exporters/web/zoo_web/checking.py",
    "plugins/text/zoo_text/trained_vectors.py",
    "zoo/catalogue/record.py",
    "zoo/discovery/enumerating.py",
    "zoo/reporting/page.py",
    "zoo/testing/checking.py",
}
NAMED = re.compile(r"`([a-z]\w*)(?:=[^`]+)?`")


def options():
    """Return the options of all commands, by command and by the name of the parameter."""
    commands = {name: group.get_command(click.Context(group), name) for name in COMMANDS}
    commands |= {f"plugin {name}": command for name, command in commands.pop("plugin").commands.items()}
    return {
        name: {one.name: one for one in command.params if isinstance(one, click.Option)}
        for name, command in commands.items()
    }


@functools.cache
def messages():
    """Return, by file, the texts that are not docstrings, each with an ellipsis for what is put into it."""
    return {str(path.relative_to(ROOT)): list(texts(path)) for path in CORE + PLUGINS}


def texts(path):
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | parts:
            yield node.value


def test_no_message_that_python_can_meet_names_an_option_as_it_is_typed():
    found = {}
    for name, written in messages().items():
        for text in () if name in TYPED or name.startswith(("zoo/cli/", "zoo/scaffolding/")) else written:
            whole_command = r"`\w[^`]* [^`]*`|^zoo .*"
            if typed := re.findall(r"(?<![\w-])(?:--[a-z][\w-]*|-[a-z] )", re.sub(whole_command, "", text)):
                found[name] = typed
    assert found == {}


def test_every_argument_of_a_verb_that_a_message_names_is_an_option_of_a_command():
    verbs = [*(ROOT / "zoo/verbs").glob("*.py"), ROOT / "zoo/runtime/bundle.py"]
    defined = [one for path in verbs for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.arguments)]
    of_verbs = {one.arg for found in defined for one in (*found.args, *found.kwonlyargs)} | {"verify"}
    of_commands = {name for found in options().values() for name in found}
    named = {name for found in messages().values() for text in found for name in NAMED.findall(text)} & of_verbs
    assert len(named) > 12
    assert named - of_commands - {"inputs"} == set()  # which is what a contract names


@pytest.fixture
def of():
    """Let messages be told for a command; afterwards for none."""
    yield lambda name: remember(importlib.import_module(f"zoo.cli.{name}").command)
    remember(None)


@pytest.mark.parametrize(
    ("command", "text", "typed"),
    [
        ("train", "choose another `out`, or remove it", "choose another --out, or remove it"),
        ("train", "continue by `resume=True` and `accept_changes=True`", "continue by --resume and --accept-changes"),
        ("train", "`options` training.steps: expected", "-o training.steps: expected"),
        ("train", "set `options=['a.b=2', 'c=d e']`", "set -o a.b=2 -o 'c=d e'"),
        ("train", "or by `skip_bad_samples=True`", "or by --on-bad-sample skip"),
        ("run", "or use `provider='cpu'`", "or use --provider cpu"),
        ("search", "name a `graph`, or more rows by `k=…`", "name a --graph, or more rows by -k …"),
        ("list", "`max_size` takes a number", "--max-size takes a number"),
        ("list", "choose another `out`", "choose another `out`"),
        ("list", "`zoo list` lists them; `sort of`", "`zoo list` lists them; `sort of`"),
    ],
)
def test_an_option_is_told_as_it_is_typed(command, text, typed, of):
    of(command)
    assert as_typed(text) == typed


def test_without_a_command_a_message_stays_as_it_is():
    assert as_typed("choose another `out`") == "choose another `out`"


def test_the_same_fault_is_told_to_each_caller_in_the_caller_s_own_words(zoo, recipe_file, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").touch()
    said = f"{tmp_path / 'taken'} holds 'letter.txt'; `zoo train` replaces only a run that it wrote: choose another"
    with pytest.raises(UsageError) as caught:
        public.train(recipe_file(), tmp_path / "taken")
    assert str(caught.value) == f"{said} `out`, or remove it"
    assert zoo("train", recipe_file(), "--out", tmp_path / "taken").error == f"{said} --out, or remove it"


def test_a_warning_is_told_as_it_is_typed(of):
    of("train")
    record = logging.LogRecord("zoo", logging.WARNING, "", 0, "choose another `out`", None, None)
    assert Plain().format(record) == "choose another --out"
