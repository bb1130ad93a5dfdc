"""Judges a bundle again by its own reference, without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from zoo.parity.tolerance import Compared
from zoo.protocols import Progress
from zoo.recipes.arguments import checked
from zoo.runtime.bundle import Bundle
from zoo.runtime.placement import placement
from zoo.runtime.records import Parity
from zoo.runtime.replay import replay
from zoo.verbs.bundles import bundle_of
from zoo.verbs.named import Named
from zoo.verbs.progress import told


@dataclass(frozen=True)
class JudgedAgain:
    """A graph's judgement: the number of cases, the one closest to its tolerance, and the record of the export."""

    cases: int
    worst: Compared
    exported: Parity

    def __repr__(self) -> str:
        now = f"{self.cases} cases, {self.worst.used:.1%} of the tolerance used"
        return f"<judged again: {now}; {self.exported.cases} cases, {self.exported.used:.1%} at the export>"


class Judgement(Named[JudgedAgain]):
    """All files of a bundle, by name without the suffix; shown as the table that ``zoo parity`` prints."""

    header = ("GRAPH", "CASES NOW", "USED NOW", "MAX ERROR", "CASES AT EXPORT", "USED AT EXPORT")

    def rows(self) -> list[tuple[str | int, ...]]:
        """Return a row per file, below ``header``."""
        return [
            (
                name,
                one.cases,
                f"{one.worst.used:.1%}",
                f"{one.worst.max_abs_error:.1e}",
                one.exported.cases,
                f"{one.exported.used:.1%}",
            )
            for name, one in self.items()
        ]


@checked
def judge(bundle: str | os.PathLike[str] | Bundle, *, progress: Progress | None = None) -> Judgement:
    """Judge a bundle, by its folder or opened, on this machine and by the provider that it was opened for.

    ``progress`` is called with the number of files judged and their total.

    Raises ParityError if a result lies outside the tolerance that was recorded at the export, IntegrityError if a file
    was changed; on a GPU ParityError, too, if anything except the arithmetic of shapes runs elsewhere.
    """
    opened = bundle_of(bundle)
    if opened.provider != "cpu":
        for graph in opened.graphs:
            with opened.contents.placed(opened.chosen(graph).file) as (path, _):
                placement(path, provider=opened.provider).require()
    exported = {
        Path(one.file).stem: one.parity for graph in opened.manifest.graphs.values() for one in graph.files.values()
    }
    with told(progress, "judging") as advance:
        report = replay(opened, observe=lambda done, name: advance(done, len(exported), name))
    return Judgement({name: JudgedAgain(cases, worst, exported[name]) for name, (cases, worst) in report.items()})
