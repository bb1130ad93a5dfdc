"""What libraries in C say on stderr is caught; what Python code says there is not."""

import contextlib
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from zoo.reading.stderr import library_messages


def said_in_c(text):
    os.write(2, f"{text}\n".encode())


def test_what_is_written_behind_pythons_back_is_caught_in_one_line(capfd):
    with library_messages() as said:
        said_in_c("TIFF: Warning,\n  odd tag")
        assert said.text == ""
    said_in_c("after")
    assert said.text == "TIFF: Warning, odd tag"
    assert said.beside("broken") == "broken (TIFF: Warning, odd tag)"
    assert capfd.readouterr().err == "after\n"


def test_nothing_said_adds_nothing():
    with library_messages() as said:
        pass
    assert said.beside("broken") == "broken"


@pytest.mark.parametrize("stream", ["none", "closed", "of a host"])
def test_what_is_said_is_caught_whatever_pythons_stderr_is(stream, monkeypatch, tmp_path, capfd):
    streams = {"none": None, "closed": (tmp_path / "log").open("w"), "of a host": SimpleNamespace(write=len)}
    streams["closed"].close()
    monkeypatch.setattr(sys, "stderr", streams[stream])
    with library_messages() as said:
        said_in_c("odd tag")
    assert (said.text, sys.stderr) == ("odd tag", streams[stream])


def test_an_exception_leaves_stderr_as_it_was(capfd):
    with contextlib.suppress(OSError), library_messages() as said:
        said_in_c("why")
        raise OSError
    said_in_c("after")
    assert (said.text, capfd.readouterr().err) == ("why", "after\n")


def test_blocks_may_stand_in_each_other(capfd):
    with library_messages() as outer:
        said_in_c("outer")
        with library_messages() as inner:
            said_in_c("inner")
    assert (outer.text, inner.text, capfd.readouterr().err) == ("outer", "inner", "")


ALL = """
import logging, os, sys, threading
from zoo.reading.stderr import library_messages
def other():
    print("printed", file=sys.stderr, flush=True)
    logging.error("logged")
with library_messages() as said:
    os.write(2, b"caught")
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    print("here", file=sys.stderr)
print("after", said.text, file=sys.stderr)
"""


def test_what_python_writes_meanwhile_arrives_whichever_thread_says_it():
    done = subprocess.run([sys.executable, "-c", ALL], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["printed", "ERROR:root:logged", "here", "after caught"]


def test_a_closed_stderr_is_no_fault():
    code = (
        "import os; os.close(2)\n"
        "from zoo.reading.stderr import library_messages\n"
        "with library_messages(): print('done')"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout == b"done\n"
