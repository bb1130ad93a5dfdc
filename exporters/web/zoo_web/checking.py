"""Checks a bundle in a real browser: ``python -m zoo_web.checking FOLDER`` opens its page's check in headless Chromium.

Exits with 4 if a graph does not give the recorded results on onnxruntime-web.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from zoo import NotFoundError, UsageError, ZooError, open_bundle

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# The page is done when it is idle; this is virtual time for its timers, not real time.
_PATIENCE_MS = 600_000
_TIMEOUT_S = 600
_QUIET = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Checked:
    """The result of a graph: ``used`` is the largest fraction of the tolerance; ``said`` is the table's row."""

    graph: str
    passed: bool
    used: float
    said: str


def check_in_browser(folder: Path) -> list[Checked]:
    """Return the result of each graph of the bundle in ``folder`` on onnxruntime-web.

    Raises UsageError if it has no page, IntegrityError if a file was changed, NotFoundError if Chromium is missing,
    ZooError if the page fails.
    """
    open_bundle(folder)
    if not (folder / "index.html").is_file():
        raise UsageError(f"{folder} has no page to check; `zoo export --layout web` adds one")
    with served(folder) as address:
        page = _opened(f"{address}/?check")
    found = _Rows()
    found.feed(page)
    if found.state != "ready":
        raise ZooError(f"the page of {folder} does not work: {found.said or 'it says nothing'}")
    return found.rows


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder only to this machine, and yield its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Silent, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def chromium() -> str:
    """Return the path of the browser.

    Raises NotFoundError if there is none.
    """
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        raise NotFoundError(f"no browser: looked for {', '.join(_NAMES)}; install one, as by apt-get install chromium")
    return found


def _opened(address: str) -> str:
    """Return the page's content once it is idle."""
    with tempfile.TemporaryDirectory() as profile:
        # Chromium has no sandbox for root.
        boxed = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        options = [*_QUIET, *boxed, f"--user-data-dir={profile}", f"--virtual-time-budget={_PATIENCE_MS}"]
        command = [chromium(), *options]
        done = subprocess.run(
            [*command, "--dump-dom", address], capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    if done.returncode:
        raise ZooError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Do not log requests."""


class _Rows(HTMLParser):
    """Reads the rows of the check's table, and the state of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Checked] = []
        self.state = self.said = ""
        self._attributes: dict[str, str | None] = {}
        self._within: list[str] = []
        self._telling = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note the state of the page, and the start of a row."""
        named = dict(attributes)
        if tag == "body":
            self.state = named.get("data-state") or ""
        elif tag == "tr" and "data-graph" in named:
            self._attributes, self._within = named, []
        self._telling = named.get("id") == "state"

    def handle_data(self, data: str) -> None:
        """Note what is said."""
        self._within.append(data)
        if self._telling:
            self.said = data

    def handle_endtag(self, tag: str) -> None:
        """Keep a complete row."""
        self._telling = False
        if tag == "tr" and self._attributes:
            said = " ".join(self._within)
            graph, state, used = (self._attributes.get(f"data-{name}") or "" for name in ("graph", "state", "used"))
            self.rows.append(Checked(graph, state == "passed", float(used), said))
            self._attributes = {}


def main(folder: str) -> int:
    """Print the table; return the exit code."""
    try:
        rows = check_in_browser(Path(folder))
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for row in rows:
        print(f"{row.graph}: {f'{row.used:.0%} of the tolerance used' if row.passed else row.said}")
    return 0 if all(row.passed for row in rows) else 4


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
