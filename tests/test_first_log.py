"""Logs are plain from the first line on, whatever imports `logging`, and a listing does not import it."""

import logging
import subprocess
import sys

from zoo.cli.first_log import plain_from_the_first
from zoo.cli.logs import Plain

LATE = """
import sys
from zoo.cli.first_log import plain_from_the_first
plain_from_the_first()
plain_from_the_first()
before = "logging" in sys.modules
import logging
logging.getLogger("birds").warning("a\\x1b[2J\\nb https://ada:lovelace@example.org")
print(before, len([finder for finder in sys.meta_path if type(finder).__module__.startswith("zoo")]))
"""


def test_logs_are_plain_if_logging_is_imported_later_and_nothing_stays_on_the_path():
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "0"]
    assert done.stderr == "a\\x1b[2J b https://…@example.org\n"


def test_logs_are_plain_if_logging_is_there(monkeypatch):
    monkeypatch.setattr(logging, "lastResort", logging.StreamHandler())
    finders = list(sys.meta_path)
    plain_from_the_first()
    assert isinstance(logging.lastResort.formatter, Plain)
    assert sys.meta_path == finders


def test_what_a_plugin_logs_as_it_is_imported_is_plain(site, run_process):
    site.add("birds", "import logging\nlogging.getLogger('birds').warning('a\\x1b[2Jb')")
    assert run_process("list").stderr == "a\\x1b[2Jb\n"
