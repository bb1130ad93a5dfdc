"""No command but ``fetch`` speaks to the network, and nothing is reported to anybody."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ZOO = Path(sys.executable).with_name("zoo")
SOURCES = sorted(
    path
    for kind in ("zoo", "benchmarks", "tests", "plugins", "exporters")
    for path in (ROOT / kind).rglob("*.py")
    if "onnxruntime" in path.read_text()
)
SETTING = "ORT_DISABLE_TELEMETRY"

# Notes whether the setting is there whenever onnxruntime is imported, by whatever a process does.
WATCHED = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print(os.environ.get("ORT_DISABLE_TELEMETRY"))
sys.meta_path.insert(0, Watch())
"""
IMPORTERS = {
    "the runtime": "from zoo.runtime.loading import session_options; session_options(1)",
    "the doctor": "from zoo.verbs.doctor import _providers; _providers()",
    "the writer of files of fewer bits": "from zoo_onnx import reducing; import onnxruntime",
    "a benchmark": "from benchmarks import gpu, opening; import onnxruntime",
}

# Sockets of a network, and the daemon that looks names of hosts up for others.
SPEAKS = re.compile(r"AF_INET|systemd/resolve")
RECIPE = """
schema = 1
[spec]
objective = "infonce"
latent_dim = 4
[spec.inputs.caption]
modality = "text"
encoder = { name = "bag-of-embeddings", width = 4 }
[spec.inputs.title]
modality = "text"
encoder = { name = "bag-of-embeddings", width = 4 }
[data]
name = "folder"
path = "data"
[training]
steps = 2
batch_size = 4
"""
COMMANDS = {
    "list": ("list",),
    "info": ("info", "emoji-search"),
    "plugins": ("plugins",),
    "doctor": ("doctor",),
    "data": ("data", "folder", "-o", "path=data"),
    "train": ("train", "recipe.toml", "--out", "run"),
    "evaluate": ("evaluate", "run"),
    "export": ("export", "run", "--graph", "encode_caption", "--out", "bundle"),
    "parity": ("parity", "bundle"),
    "run": ("run", "bundle", "encode_caption", "-i", "caption=a red bike"),
    "embed": ("embed", "bundle", "encode_caption", "--input", "lines.txt", "--out", "vectors"),
    "search": ("search", "bundle", "vectors", "--query", "a red bike"),
}


def imports_of(path):
    """Yield the line and the package of every import of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, (node.module or "").partition(".")[0]


def programs_in(path):
    """Yield the programs that a file holds as texts and that import onnxruntime."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import onnxruntime" in node.value:
            yield node.value


def test_zoo_is_imported_before_onnxruntime_wherever_that_is():
    """``import zoo`` turns the reports off; after onnxruntime it is too late."""
    found = 0
    for path in SOURCES:
        imports = sorted(imports_of(path))
        lines = [line for line, package in imports if package == "onnxruntime"]
        found += len(lines)
        if not lines or path.is_relative_to(ROOT / "zoo"):
            continue
        ours = [line for line, package in imports if package == "zoo" or package.startswith("zoo_")]
        assert ours, path
        assert min(ours) < min(lines), path
    assert found > 8


def test_programs_in_texts_import_zoo_first():
    for path in SOURCES:
        for program in programs_in(path):
            if path != Path(__file__):
                assert "zoo" in program.partition("onnxruntime")[0], path


@pytest.mark.parametrize("who", IMPORTERS)
def test_reports_are_off_as_onnxruntime_is_imported(who):
    environment = {name: value for name, value in os.environ.items() if name != SETTING}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED + IMPORTERS[who]],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == {"1"}


def test_a_setting_of_the_user_is_left_alone():
    done = subprocess.run(
        [sys.executable, "-c", f"import os, zoo; print(os.environ['{SETTING}'])"],
        env={**os.environ, SETTING: "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a little data, and its own home."""
    folder = tmp_path_factory.mktemp("quiet")
    (folder / "data").mkdir()
    rows = [f"{split},a {colour} {thing},{thing}" for split in ("train", "test") for colour in ("red", "blue", "green")
            for thing in ("bike", "boat", "bird")]  # fmt: skip
    (folder / "data/captions.csv").write_text("split,caption,title\n" + "\n".join(rows) + "\n")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "lines.txt").write_text("a red bike\na boat\n")
    (folder / "home").mkdir()
    return folder


def traced(folder, *arguments, **environment):
    """Run a command to its end; return what it did with sockets."""
    env = {name: value for name, value in os.environ.items() if name != SETTING and not name.startswith("XDG_")}
    env |= {"HOME": str(folder / "home"), "ZOO_HOME": str(folder / "zoo"), **environment}
    trace = folder / "trace"
    command = ["strace", "-f", "-qq", "-e", "trace=socket,connect,sendto,sendmsg,sendmmsg", "-o", str(trace)]
    done = subprocess.run([*command, *map(str, arguments)], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return trace.read_text()


@pytest.mark.verify
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed; .ci/run installs it")
def test_no_command_opens_a_socket_of_a_network_or_leaves_an_id(place):
    spoke = {}
    for name, arguments in COMMANDS.items():
        for offline in ("", "1") if name not in ("train", "evaluate", "export") else ("",):
            if name == "embed":
                shutil.rmtree(place / "vectors", ignore_errors=True)
            trace = traced(place, ZOO, *arguments, **({"ZOO_OFFLINE": offline} if offline else {}))
            if lines := [line for line in trace.splitlines() if SPEAKS.search(line)]:
                spoke[name, offline] = lines[:3]
    assert spoke == {}
    assert not list((place / "home").rglob("deviceid"))
    assert not [path for path in (place / "home").rglob("*") if "Microsoft" in path.parts]


@pytest.mark.verify
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed; .ci/run installs it")
def test_a_name_that_is_looked_up_would_be_seen(place):
    trace = traced(
        place, sys.executable, "-c", "import socket\ntry: socket.getaddrinfo('a.invalid', 80)\nexcept OSError: 0"
    )
    assert SPEAKS.search(trace)
