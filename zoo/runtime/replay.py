"""Judges a bundle again, at any time and on any machine, by the reference cases inside it. No torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import IntegrityError
from zoo.parity.regimes import forms
from zoo.runtime.bundle import Bundle
from zoo.runtime.contents import REFERENCE

if TYPE_CHECKING:
    from zoo.parity.tolerance import Compared
    from zoo.protocols import Array, TensorSpec
    from zoo.runtime.session import Session

    _Case = dict[str, dict[str, Array]]

_PARTS = ("inputs", "expected", "allowed")


def replay(bundle: Bundle, *, observe: Callable[[int, str], None] | None = None) -> dict[str, tuple[int, Compared]]:
    """Run every graph, at every precision, on its reference cases.

    Return, by the name of the file without its suffix, the number of cases and the one closest to its tolerance.
    ``observe`` is called with the number of judged files and the last one's name.

    Raises ParityError if a result lies outside the tolerance recorded at the export, IntegrityError if the reference
    does not belong to these graphs.
    """
    from zoo.parity.tolerance import compare

    cases = _cases(bundle)
    report = {}
    for precision in bundle.precisions:
        opened = replace(bundle, precision=precision, _sessions={})
        for graph in opened.graphs:
            outputs, stem = opened.described(graph).outputs, Path(opened.chosen(graph).file).stem
            session = opened.graph(graph)
            for number, case in cases[stem].items():
                _require_whole(case, session, outputs, f"{bundle.folder / REFERENCE}: {stem}/{number}")
            compared = [
                compare(stem, name, session(inputs), case["expected"], case["allowed"], outputs)
                for number, case in sorted(cases[stem].items())
                for name, inputs in forms(session.inputs, session.axes, f"reference {number}", case["inputs"])
            ]
            if not compared:
                raise IntegrityError(f"{bundle.folder / REFERENCE} holds no case of {stem!r}; export the model again")
            report[stem] = (len(compared), max(compared))
            if observe is not None:
                observe(len(report), stem)
    return report


def _cases(bundle: Bundle) -> Mapping[str, Mapping[str, _Case]]:
    """Return the cases of each file, by its name without the suffix and their numbers."""
    cases: dict[str, dict[str, _Case]] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for key, array in bundle.contents.arrays(REFERENCE).items():
        graph, number, part, name = (*key.split("/", 3), "", "", "")[:4]
        cases[graph][number][part][name] = array
    return cases


def _require_whole(case: _Case, session: Session, outputs: Mapping[str, TensorSpec], where: str) -> None:
    """Raise IntegrityError if a case lacks an array, or has one that cannot be compared."""
    for part, names in zip(_PARTS, (session.inputs, outputs, outputs), strict=True):
        if sorted(case.get(part, ())) != sorted(names):
            raise IntegrityError(f"{where} lacks {part} of {', '.join(names)}; export the model again")
    for name in outputs:
        expected, allowed = case["expected"][name], case["allowed"][name]
        if not expected.ndim or expected.shape[:1] != allowed.shape or "c" in expected.dtype.kind + allowed.dtype.kind:
            raise IntegrityError(
                f"{where}: {name!r} has answers of shape {expected.shape} and tolerances of shape {allowed.shape}; "
                "export the model again"
            )
