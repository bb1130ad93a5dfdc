"""The habits of the code: modules say what they are, nothing is caught in general, only commands print."""

import ast

import pytest
from zoo_toy.sources import CORE, PLUGINS, ROOT, imported, nodes, shown

LARGEST_LINES = 400


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=shown)
def test_a_module_says_what_it_is_and_is_not_too_long(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= LARGEST_LINES


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=shown)
def test_only_the_isolation_of_plugins_catches_everything(path):
    caught = [ast.unparse(handler.type) if handler.type else "" for handler in nodes(path, ast.ExceptHandler)]
    broad = [
        kinds for kinds in caught if not kinds or {"Exception", "BaseException"} & set(kinds.strip("()").split(", "))
    ]
    assert not broad or path == ROOT / "zoo/discovery/isolation.py"


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=shown)
def test_no_code_from_strangers_is_run_and_no_archive_unpacked(path):
    forbidden = {"pickle", "dill", "joblib", "tarfile", "marshal", "shelve", "yaml", "tomllib"}
    assert not forbidden & {module.split(".")[0] for module, _ in imported(path)}
    called = {node.func.id for node in nodes(path, ast.Call) if isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("path", [path for path in CORE if "testing" not in path.parts], ids=shown)
def test_only_commands_print_and_nothing_is_asserted_of_users(path):
    called = {node.func.id for node in nodes(path, ast.Call) if isinstance(node.func, ast.Name)}
    assert "print" not in called or "quickstart" in path.parts
    assert not nodes(path, ast.Assert)


def test_commands_print_by_one_module_which_keeps_data_apart_and_strangers_text_plain():
    commands = [path for path in CORE if path.parent == ROOT / "zoo/cli" and path.name != "output.py"]
    found = {shown(path) for path in commands for node in nodes(path, ast.Attribute) if node.attr in ("echo", "secho")}
    assert not found, "print by note, print_lines, print_table, print_json or print_exactly of zoo.cli.output"
