"""Reports the progress of a long task: to your function, or else as a bar in a terminal or a notebook."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zoo.verbs.texts import plain

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from zoo.protocols import Progress

# The rate is averaged over this many seconds, so that slow tasks have one, too.
_PACE_S = 600
_NOTEBOOK_COLUMNS = 100
_NOTEBOOK_EVERY_S = 0.1
# Held by the task whose bar is shown; tasks inside it or beside it show none.
_one_bar = threading.Lock()


@contextmanager
def told(progress: Progress | None, what: str) -> Iterator[Progress]:
    """Return the function to call as a task advances: ``progress`` itself, or a bar named ``what`` if it is None."""
    if progress is not None:
        yield progress
        return
    with progress_bar(what) as advance:
        yield advance


@contextmanager
def progress_bar(what: str) -> Iterator[Progress]:
    """Return a function that shows progress, called with the finished steps, their total, and a note.

    Silent if stderr is not a terminal and no notebook runs the code, and inside a task that shows its own bar. The bar
    shows the rate and the time left, without colours if NO_COLOR is set.
    """
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not (on_terminal or _in_notebook()) or not _one_bar.acquire(blocking=False):
        yield lambda done, total, text: None
        return
    try:
        with _on_terminal(what) if on_terminal else _in_cell(what) as advance:
            yield advance
    finally:
        _one_bar.release()


@contextmanager
def _on_terminal(what: str) -> Iterator[Progress]:
    from rich.console import Console

    with _bar(what, Console(stderr=True)) as bar:
        yield _advancing(bar)


@contextmanager
def _in_cell(what: str) -> Iterator[Progress]:
    """Show the bar as text below the cell of a notebook, in one place that changes during the task."""
    from IPython.display import display
    from rich.console import Console

    shown_as = io.StringIO()
    console = Console(file=shown_as, width=_NOTEBOOK_COLUMNS, force_jupyter=False, force_terminal=False)
    bar = _bar(what, console)

    def drawn() -> dict[str, str]:
        shown_as.seek(0)
        shown_as.truncate()
        console.print(bar.get_renderable())
        return {"text/plain": shown_as.getvalue().rstrip()}

    step = _advancing(bar)
    place: Any = display(drawn(), raw=True, display_id=True)
    last_s = 0.0

    def advance(done: int, total: int, text: str) -> None:
        nonlocal last_s
        step(done, total, text)
        if done >= total or time.monotonic() - last_s > _NOTEBOOK_EVERY_S:
            place.update(drawn(), raw=True)
            last_s = time.monotonic()

    yield advance


def _bar(what: str, console: Any) -> Bar:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(plain(what), markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    return Progress(*columns, console=console, speed_estimate_period=_PACE_S)


def _advancing(bar: Bar) -> Progress:
    task = bar.add_task("", total=None, rate="")

    def advance(done: int, total: int, text: str) -> None:
        if done < bar.tasks[0].completed:  # another stage of the task, at another pace
            bar.reset(task, total=total)
        bar.update(task, completed=done, total=total, description=plain(text))
        bar.update(task, rate=_rate(bar.tasks[0].speed))

    return advance


def _in_notebook() -> bool:
    """Return whether a Jupyter kernel runs the code; its cells show more than the printed text."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_shell is not None and any(kind.__name__ == "ZMQInteractiveShell" for kind in type(get_shell()).__mro__)


def _rate(done_per_s: float | None) -> str:
    """Return a rate for a person, empty while it is unknown: ``12.3/s``, ``4.0 s each`` if it is slow."""
    if not done_per_s:
        return ""
    return f"{done_per_s:.1f}/s" if done_per_s >= 1 else f"{1 / done_per_s:.1f} s each"
