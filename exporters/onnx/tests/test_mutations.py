"""The parity contract catches planted faults, the bisection names them, and the page records both."""

from pathlib import Path

import pytest
from planted.all import FAULTS, KINDS
from planted.judged import judged
from planted.page import rewritten
from planted.structures import structure

from zoo.exporting.judging import judge

PAGE = Path(__file__).parents[3] / "docs/parity.md"


def require_right(outcome):
    if outcome.fault.equivalent:
        assert not outcome.caught, f"it was called equivalent: {outcome.message}"
    else:
        assert outcome.caught
        assert outcome.named is not False, outcome.message


def test_there_are_faults_of_every_kind():
    assert {fault.kind for fault in FAULTS} == {kind.KIND for kind in KINDS}
    assert len({(fault.structure, fault.name) for fault in FAULTS}) == len(FAULTS) >= 30


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.fast], ids=lambda fault: fault.name)
def test_a_planted_fault_is_caught_and_named(fault):
    require_right(judged(fault))


@pytest.mark.verify
def test_the_page_tells_how_every_planted_fault_fared():
    outcomes = [judged(fault) for fault in FAULTS]
    for outcome in outcomes:
        require_right(outcome)
    expected = rewritten(PAGE.read_text(), outcomes)
    assert PAGE.read_text() == expected, "write it again: python exporters/onnx/tests/mutations.py docs/parity.md"


@pytest.mark.verify
@pytest.mark.parametrize("name", sorted({fault.structure for fault in FAULTS}))
def test_the_file_that_faults_are_planted_in_passes(name, tmp_path):
    honest = structure(name)
    (tmp_path / "graph.onnx").write_bytes(honest.content)
    runners = [honest.exporter.open(honest.graph, tmp_path / "graph.onnx") for _ in range(2)]
    assert judge(honest.graph, honest.cases, *runners).worst.used <= 1
