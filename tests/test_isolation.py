"""What plugins print, and those that end or hold the process: stdout holds the data alone, and the culprit is named."""

import re
import signal
import subprocess
import sys
import time

import pytest

from zoo.cli import main
from zoo.discovery.plugins import installed
from zoo.errors import ZooError

SOUND = """
from zoo import hookimpl
ZOO_API = 1
@hookimpl
def zoo_modalities():
    return {"birds": "zoo_birds.modality:Birds"}
"""
PRINTING = """
import os, subprocess, sys
print("from print")
os.write(1, b"from the descriptor")
subprocess.run([sys.executable, "-c", "print('from a child')"])
"""


@pytest.mark.parametrize("spoilt", ["", "sys.stdout.close()", "sys.__stdout__.close()", "os.close(1)"])
def test_what_a_plugin_prints_at_import_is_not_among_the_data(spoilt, site, run_process):
    site.add("birds", PRINTING + spoilt + SOUND)
    told = run_process("plugins", "--json")
    assert told.exit_code == 0
    assert [plugin["fault"] for plugin in told.json] == ["", ""]
    for printed in ("from print", "from the descriptor", "from a child"):
        assert printed in told.stderr
    assert "modalzoo-birds 1.0 writes to stdout while it is imported; that went to stderr" in told.stderr


def test_what_a_component_prints_is_not_among_the_data(site, zoo, recipe_file):
    site.add("birds", SOUND, files={"modality.py": "print('tweet')\nraise RuntimeError('no feathers')"})
    path = recipe_file()
    path.write_text(path.read_text().replace('"vectors"', '"birds"'))
    result = zoo("train", path, "--out", site.folder / "run")
    assert result.stdout == ""
    assert result.stderr.startswith("tweet\nerror: the modality 'birds'")


def test_data_leave_as_they_are_and_all_else_by_stderr():
    script = """
import os, sys
from zoo.cli.output import print_exactly
from zoo.cli.streams import data_apart
with data_apart():
    print("printed", flush=True)
    sys.stdout.buffer.write(sys.stdout.encoding.encode() + b" bytes ")
    sys.stdout.buffer.flush()
    os.write(1, b"written")
    print_exactly("path \\udcff")
print("afterwards")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"path \xff\nafterwards\n"
    assert done.stderr == b"printed\nutf-8 bytes written"


@pytest.mark.parametrize("command", ["--version", "--help", "list --help", "plugin new --help"])
def test_help_and_version_are_what_is_asked_for_and_so_on_stdout(command, run_process):
    told = run_process(*command.split())
    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout.startswith(("zoo, version", "Usage: zoo"))


def test_a_listing_to_a_closed_stdout_ends_well(site, zoo_process):
    process = zoo_process("list", launcher=("sh", "-c", 'exec "$0" "$@" >&-'))
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


WAITING = """
import pathlib, time
pathlib.Path(__file__).with_name("imported").touch()
try:
    time.sleep(60)
except BaseException as error:
    AFTERWARDS
"""


@pytest.mark.parametrize("afterwards", ["raise", "pass", "raise RuntimeError('no feathers')"])
def test_ctrl_c_while_a_plugin_is_imported_ends_the_command(afterwards, site, zoo_process):
    site.add("birds", WAITING.replace("AFTERWARDS", afterwards) + SOUND)
    heard = "import os, signal, sys; signal.signal(2, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    process = zoo_process("list", launcher=(sys.executable, "-c", heard))
    while not (site.folder / "zoo_birds" / "imported").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, "")
    assert stderr.endswith("interrupted\n")


def test_what_ctrl_c_raises_is_not_taken_for_a_fault_of_what_it_broke(monkeypatch, capsys):
    def broken(**settings):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ZooError("onnxruntime is not installed") from None

    monkeypatch.setattr("zoo.cli.group", broken)
    with pytest.raises(SystemExit, match=r"^130$"):
        main()
    assert capsys.readouterr().err == "interrupted\n"


def test_memory_that_does_not_suffice_is_told_in_a_paragraph(monkeypatch, capsys):
    def full(**settings):
        raise MemoryError("Unable to allocate 2.73 TiB")

    monkeypatch.setattr("zoo.cli.group", full)
    with pytest.raises(SystemExit, match=r"^1$"):
        main()
    assert capsys.readouterr().err.startswith(
        "error: more memory is needed than available (Unable to allocate 2.73 TiB)"
    )


def test_what_is_printed_as_python_ends_is_not_among_the_data(site, run_process):
    site.add("birds", f"import atexit, os\natexit.register(lambda: (print('bye'), os.write(1, b'bye')))\n{SOUND}")
    told = run_process("list", "--json")
    assert (told.exit_code, type(told.json)) == (0, list)
    assert "bye" in told.stderr


def test_handlers_of_signals_are_what_they_were_before_a_plugin(site):
    site.add("birds", f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{SOUND}")
    before = signal.getsignal(signal.SIGINT)
    assert installed().faults == ()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os; os._exit(0)", "ends a process with exit code 0"),
        ("import os; os._exit(3)", "ends a process with exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ends a process by SIGSEGV"),
        pytest.param("while True: pass", "does not finish its import within 5 s", marks=pytest.mark.verify),
        pytest.param(
            f"import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n{SOUND}",
            "keeps a process from ending within 5 s",
            marks=pytest.mark.verify,
        ),
    ],
)
def test_the_doctor_finds_a_plugin_that_ends_or_holds_the_process(source, said, site, run_process):
    site.add("birds", source)
    told = run_process("doctor", "--limit", 5)
    assert told.exit_code == 1
    assert re.search(r"^modalzoo-birds +1\.0 +out$", told.stdout, re.MULTILINE)
    assert re.search(r"^modalzoo-toy +1\.0 +components: \d+$", told.stdout, re.MULTILINE)
    advice = "leave it out by ZOO_PLUGINS=-modalzoo-birds, and tell its authors"
    assert f"error: modalzoo-birds 1.0 {said}; {advice}" in told.stderr


def test_the_doctor_names_a_plugin_that_writes_to_stdout_past_python(site, run_process):
    site.add("birds", f"import os\nos.write(1, b'tweet')\n{SOUND}")
    told = run_process("doctor")
    assert told.exit_code == 0
    assert re.search(
        r"^modalzoo-birds +1\.0 +components: 1; writes to stdout while it is imported$", told.stdout, re.MULTILINE
    )


def test_a_plugin_without_metadata_or_with_a_broken_entry_point_is_named(site, zoo):
    for name, metadata, points in (
        ("owls", "", "owls = zoo_owls"),
        ("wrens", "Name: modalzoo-wrens\nVersion: 1.0\n", "wrens = no module!"),
    ):
        folder = site.folder / f"modalzoo_{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(metadata)
        (folder / "entry_points.txt").write_text(f"[modalzoo]\n{points}\n")
    stderr = zoo("plugins").stderr
    assert "modalzoo_owls 1.0 is left out: ModuleNotFoundError: No module named 'zoo_owls'" in stderr
    assert (
        "modalzoo-wrens 1.0 is left out: PluginError: entry_points.txt gives 'wrens' as 'no module!', expec" in stderr
    )
