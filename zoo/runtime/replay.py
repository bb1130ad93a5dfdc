"""Judges a bundle again, at any later time, on any machine, by the reference that lies in it. No torch."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from zoo.parity import Compared, compare
from zoo.runtime.bundle import Bundle, spec_of

if TYPE_CHECKING:
    from zoo.protocols import Array


def replay(bundle: Bundle) -> dict[str, tuple[int, Compared]]:
    """Run every graph on its reference cases; return, by graph, how many there were and the nearest to its tolerance.

    Raises ParityError where an answer lies outside the tolerance that was recorded at the export.
    """
    from safetensors.numpy import load_file

    cases: dict[str, dict[str, dict[str, dict[str, Array]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(dict))
    )
    for key, array in load_file(bundle.folder / "reference.safetensors").items():
        graph, number, part, name = key.split("/", 3)
        cases[graph][number][part][name] = array
    report = {}
    for graph in bundle.graphs:
        outputs = {name: spec_of(spec) for name, spec in bundle.manifest["graphs"][graph]["outputs"].items()}
        session = bundle.graph(graph)
        compared = [
            compare(graph, f"reference {number}", session(case["inputs"]), case["expected"], case["allowed"], outputs)
            for number, case in sorted(cases[graph].items())
        ]
        report[graph] = (len(compared), max(compared))
    return report
