"""All checks of a GPU in one run of at most eight minutes: parity, placement, latency and throughput; writes a table.

``python -m benchmarks.gpu --out docs/gpu.md`` needs an NVIDIA GPU, torch's CUDA build and onnxruntime-gpu. Without a
GPU, ``--provider cpu`` tries the script itself. Parity is judged without TF32, by the
same cases and tolerances as on a CPU.
"""

from __future__ import annotations

import copy
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.inference import deployed, first_rows, inputs_of
from zoo.catalogue.registry import entries
from zoo.discovery.plugins import installed

if TYPE_CHECKING:
    import torch

    from zoo import Graph

ENTRIES = ("emoji-search", "fashion-vae", "emoji-speech", "molecule-names", "text-autoencoder")
BATCHES = (1, 64)
BUDGET_S = 8 * 60
ROUNDS, CALLS = 9, 20
WAYS = ("onnxruntime", "with CUDA graphs", "torch", "torch fp16", "torch.compile")


@dataclass
class Result:
    """One graph: how it fared, and milliseconds a call by batch and way; an error's first line where it failed."""

    graph: str
    parity: str = ""
    placement: str = ""
    milliseconds: dict[int, dict[str, float | str]] = field(default_factory=dict)
    failed: bool = False


@click.command("gpu")
@click.option("--provider", default="cuda", show_default=True, type=click.Choice(["cuda", "cpu"]))
@click.option("--entry", "names", multiple=True, default=ENTRIES, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The page to write.")
def command(provider: str, names: tuple[str, ...], out: Path) -> None:
    """Check every graph of some entries on a GPU and write a table; exit with 1 where one misses."""
    start = time.monotonic()
    results: list[Result] = []
    for name in names:
        if time.monotonic() - start > 0.8 * BUDGET_S:
            click.echo(f"no time is left for {name}", err=True)
            break
        for result in checked(name, provider, deadline=start + BUDGET_S):
            results.append(result)
            click.echo(f"{result.graph}: {result.parity}; {result.placement}; {result.milliseconds}", err=True)
    out.write_text(page(results, provider))
    sys.exit(1 if any(result.failed for result in results) else 0)


def checked(name: str, provider: str, *, deadline: float) -> Iterator[Result]:
    """Yield a result for each graph of tensors of an entry."""
    from zoo import open_bundle
    from zoo.errors import ZooError
    from zoo.exporting.judging import judge, make_cases
    from zoo.runtime.placement import placement

    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        checkpoint, graphs = deployed(entries(installed())[name], bundle)
        rows = first_rows(checkpoint, max(BATCHES))
        plain, again, recorded = (
            open_bundle(bundle, provider=provider, keeps=False, fixed_shapes=fixed) for fixed in (False, False, True)
        )
        for graph in graphs:
            result = Result(f"{name} {graph.name}")
            try:
                verdict = judge(graph, make_cases(graph), plain.graph(graph.name), again.graph(graph.name))
                result.parity = f"{verdict.cases} cases, {verdict.worst.used:.0%}"
                found = placement(bundle / plain.chosen(graph.name).file, provider=provider)
                result.placement = ", ".join(f"{count} {where}" for where, count in found.counts.items())
                found.require()
            except ZooError as error:
                result.failed = True
                result.parity = result.parity or f"missed: {error}"
            for batch in BATCHES if time.monotonic() < deadline else ():
                arrays = inputs_of(graph, rows, batch)
                sessions = {WAYS[0]: plain.graph(graph.name), WAYS[1]: recorded.graph(graph.name)}
                served = {way: (lambda run=run, arrays=arrays: run(arrays)) for way, run in sessions.items()}
                result.milliseconds[batch] = timed_in_turn({**served, **in_torch(graph, arrays, provider)})
            yield result


def in_torch(graph: Graph, arrays: Mapping[str, Any], provider: str) -> dict[str, Callable[[], object]]:
    """Return calls of the module on the device: as it is, in half precision, compiled. Inputs lie there already."""
    import torch

    device = torch.device(provider)
    module = copy.deepcopy(graph.module).to(device)
    half = copy.deepcopy(module).half()
    compiled = torch.compile(module)
    tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}

    def call(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> Callable[[], object]:
        def run() -> None:
            with torch.inference_mode():
                module(tensors)
            if provider == "cuda":
                torch.cuda.synchronize()

        return run

    return dict(zip(WAYS[2:], (call(module, tensors), call(half, halves), call(compiled, tensors)), strict=True))


def timed_in_turn(ways: Mapping[str, Callable[[], object]]) -> dict[str, float | str]:
    """Return the median milliseconds of a call of each, over rounds in which they take turns."""
    taken: dict[str, list[float]] = {}
    found: dict[str, float | str] = {}
    for way, call in ways.items():
        try:
            call()
            call()
            taken[way] = []
        except Exception as error:  # what half precision or a compiler cannot do is an answer, too
            found[way] = type(error).__name__
    for _ in range(ROUNDS):
        for way in taken:
            start = time.perf_counter()
            for _ in range(CALLS):
                ways[way]()
            taken[way].append((time.perf_counter() - start) / CALLS * 1e3)
    return found | {way: statistics.median(times) for way, times in taken.items()}


def page(results: list[Result], provider: str) -> str:
    """Return the table in Markdown, with date, device and versions."""
    import onnxruntime
    import torch

    device = torch.cuda.get_device_name() if provider == "cuda" else platform.processor() or "a CPU"
    lines = [
        "# Graphs on a GPU" if provider == "cuda" else "# A trial without a GPU",
        "",
        f"`python -m benchmarks.gpu`, {datetime.now(UTC):%Y-%m-%d}, {device}, torch {torch.__version__}, onnxruntime "
        f"{onnxruntime.__version__}. Milliseconds a call, medians of {ROUNDS} rounds in turn.",
        "",
        "| graph | parity: fraction of the tolerance used | nodes | batch | " + " | ".join(WAYS) + " |",
        "|---|---|---|---|" + "---|" * len(WAYS),
    ]
    for result in results:
        for batch, times in result.milliseconds.items():
            cells = [f"{t:.3f}" if isinstance(t, float) else str(t) for t in (times.get(way, "") for way in WAYS)]
            lines.append(f"| {result.graph} | {result.parity} | {result.placement} | {batch} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    command()
