"""How the contract fares on a planted fault: whether it is caught, by which check, and what the bisect names."""

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from zoo_onnx.bisection import first_fault

from planted.file import File
from planted.listing import Fault
from planted.structures import structure
from zoo.errors import ParityError, ZooError
from zoo.exporting.judging import judge

CHECKS = {
    "differs from float64": "numbers",
    "NaN or infinity": "NaN, infinity",
    "expected .* of shape": "dtype, shape",
    "no such output": "names",
    "other bits": "two loads",
    "cannot be run": "runs at all",
}


@dataclass(frozen=True)
class Outcome:
    """The result of a fault. ``check`` is "" if nothing caught it; ``named`` is None if nothing was asked."""

    fault: Fault
    check: str
    case: str
    message: str
    departure: object = None
    named: bool | None = None

    @property
    def caught(self):
        return bool(self.check)


def judged(fault):
    """Plant a fault, judge the file, and ask the bisect."""
    under = structure(fault.structure)
    file = File(under.model)
    value = fault.plant(file)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        path.write_bytes(file.model.SerializeToString())
        missed = []

        def explain(inputs):
            missed.append(first_fault(under.traces, under.graph, path, inputs))
            return str(missed[0])

        try:
            runners = [under.exporter.open(under.graph, path) for _ in range(2)]
            judge(under.graph, under.cases, *runners, explain=explain)
        except ParityError as error:
            message = str(error)
        except ZooError as error:
            return Outcome(fault, "loads at all", "", str(error))
        else:
            return Outcome(fault, "", "", "")
    check = next(label for pattern, label in CHECKS.items() if re.search(pattern, message))
    (case,) = re.findall(r", case '([^']+)'", message)
    departure = missed[0]
    made = {departure.value, *(output for node in departure.nodes for output in node.output)}
    return Outcome(fault, check, case, message, departure, value in made)
