"""The records of a manifest: the origin of a bundle, its graphs and their files, the quality of each precision.

Each is read from JSON with every value checked, since anyone may have written it; ``written`` gives the same JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from zoo.parity.precisions import FULL
from zoo.protocols import Axis, Graph, TensorSpec
from zoo.recipes.tables import Table
from zoo.runtime.tensors import checked_name, read_axes, read_tensors, written_axes, written_tensors


@dataclass(frozen=True)
class Origin:
    """The origin of a bundle's weights, for its manifest and card."""

    name: str
    license: str = ""
    data_license: str = ""
    revision: str = ""

    @classmethod
    def read(cls, table: Table) -> Origin:
        """Read an origin; raises SpecError if a value is not text."""
        return cls(*(table.take(key, str, "") for key in ("name", "license", "data_license", "revision")))


@dataclass(frozen=True)
class Parity:
    """How a file agreed with float64 at its export, over ``cases``, and where it came closest to its tolerance.

    ``used`` is its largest error as a fraction of the allowed error. ``by_rounding`` names the cases that passed only
    by the tolerance for rounding of intermediate numbers.
    """

    cases: int
    parity_ulps: int
    parity_reason: str
    case: str
    output: str
    used: float
    max_abs_error: float
    by_rounding: tuple[str, ...] = ()

    @classmethod
    def read(cls, table: Table) -> Parity:
        """Read a parity; raises SpecError if the cases or the fraction are missing, or a value is of another type."""
        return cls(
            table.take("cases", int),
            table.take("parity_ulps", int, 0),
            table.take("parity_reason", str, ""),
            table.take("case", str, ""),
            table.take("output", str, ""),
            table.take("used", float),
            table.take("max_abs_error", float, 0.0),
            table.texts("by_rounding"),
        )


@dataclass(frozen=True)
class JudgedFile:
    """A graph's file at one precision, and how it was judged."""

    file: str
    parity: Parity

    @classmethod
    def read(cls, table: Table) -> JudgedFile:
        """Read a file; raises SpecError if it has no name or no parity."""
        parity = Parity.read(Table(table.take("parity", dict), f"{table.where}.parity"))
        return cls(table.take("file", str), parity)

    def written(self) -> dict[str, Any]:
        """Return the file for a manifest."""
        parity = {**asdict(self.parity), "by_rounding": list(self.parity.by_rounding)}
        return {"file": self.file, "parity": parity}


@dataclass(frozen=True)
class GraphRecord:
    """A manifest's record of a graph: what it does, its tensors, its free axes, its files by precision.

    ``kind`` is what it does (``encode``), ``source`` and ``target`` are the inputs of the model that it reads and
    makes. Each is empty if there is none or it reads all inputs. ``raw`` marks a graph that reads raw values. ``files``
    has float32 first.
    """

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    axes: Mapping[str, Axis]
    files: Mapping[str, JudgedFile]
    kind: str = ""
    source: str = ""
    target: str = ""
    raw: bool = False

    def __repr__(self) -> str:
        does = f"{self.kind} {self.source}{' as it is given' if self.raw else ''}".strip()
        return f"<graph, {does or 'of any kind'}: {', '.join(self.inputs)} → {', '.join(self.outputs)}; {self.file}>"

    @classmethod
    def of(cls, graph: Graph, files: Mapping[str, JudgedFile]) -> GraphRecord:
        """Return the record of a graph that was written to ``files``, by precision."""
        return cls(graph.inputs, graph.outputs, graph.axes, files, graph.kind, graph.source, graph.target, graph.raw)

    @property
    def file(self) -> str:
        """The name of the file in float32."""
        return self.files[FULL].file

    @property
    def parity(self) -> Parity:
        """How the file in float32 was judged."""
        return self.files[FULL].parity

    @classmethod
    def read(cls, name: str, written: Any, precisions: Iterable[str], *, tells: bool) -> GraphRecord:
        """Read a graph that has a file at each of ``precisions``; with ``tells`` it also states what it does.

        Raises SpecError if something is missing or of another type, IntegrityError if a name is not allowed.
        """
        checked_name(name)
        where = f"graphs.{name}"
        table = Table(written, where)
        axes = read_axes(table)
        inputs, outputs = (read_tensors(table, way, axes) for way in ("inputs", "outputs"))
        files = {FULL: JudgedFile.read(table)}
        reduced = table.take("reduced", dict, {})
        for precision in dict.fromkeys([*precisions, *reduced]):
            if precision != FULL:
                files[precision] = JudgedFile.read(Table(reduced.get(precision), f"{where}.reduced.{precision}"))
        kind, source, target = (table.take(key, str) if tells else "" for key in ("kind", "source", "target"))
        for one in filter(None, (kind, source, target)):
            checked_name(one)
        return cls(inputs, outputs, axes, files, kind, source, target, tells and table.take("raw", bool))

    def written(self) -> dict[str, Any]:
        """Return the graph for a manifest."""
        files = {precision: one.written() for precision, one in self.files.items()}
        reduced = {precision: one for precision, one in files.items() if precision != FULL}
        return {
            "kind": self.kind,
            "source": self.source,
            "target": self.target,
            "raw": self.raw,
            **files[FULL],
            "inputs": written_tensors(self.inputs),
            "outputs": written_tensors(self.outputs),
            "axes": written_axes(self.axes),
            **({"reduced": reduced} if reduced else {}),
        }


@dataclass(frozen=True)
class Worth:
    """How good a precision is: the bytes of its files, the time of one row through all graphs, the task's metrics.

    ``used`` is the largest fraction of the precision's tolerance that any graph used.
    """

    size_bytes: int
    latency_ms: float
    used: float
    metrics: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, table: Table) -> Worth:
        """Read a worth; raises SpecError if a value is of another type."""
        return cls(
            table.take("size_bytes", int, 0),
            table.take("latency_ms", float, 0.0),
            table.take("used", float, 0.0),
            table.table("metrics").every(float),
        )
