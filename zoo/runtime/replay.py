"""Judges a bundle again, at any later time, on any machine, by the reference that lies in it. No torch."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.regimes import forms
from zoo.runtime.bundle import Bundle, spec_of

if TYPE_CHECKING:
    from zoo.parity import Compared
    from zoo.protocols import Array


def replay(bundle: Bundle) -> dict[str, tuple[int, Compared]]:
    """Run every graph, at every precision, on its reference cases.

    Return, by the name of the file without its suffix, how many there were and the nearest to its tolerance.

    Raises ParityError where an answer lies outside the tolerance that was recorded at the export.
    """
    from safetensors.numpy import load_file

    from zoo.parity import compare

    cases: dict[str, dict[str, dict[str, dict[str, Array]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(dict))
    )
    for key, array in load_file(bundle.folder / "reference.safetensors").items():
        graph, number, part, name = key.split("/", 3)
        cases[graph][number][part][name] = array
    report = {}
    for precision in bundle.precisions:
        opened = replace(bundle, precision=precision, _sessions={})
        for graph in opened.graphs:
            outputs = {name: spec_of(spec) for name, spec in opened.manifest["graphs"][graph]["outputs"].items()}
            session, stem = opened.graph(graph), Path(opened.chosen(graph)["file"]).stem
            compared = [
                compare(stem, name, session(inputs), case["expected"], case["allowed"], outputs)
                for number, case in sorted(cases[stem].items())
                for name, inputs in forms(session.inputs, session.axes, f"reference {number}", case["inputs"])
            ]
            report[stem] = (len(compared), max(compared))
    return report
