"""Large batches whose rows are compared: what a batch in parts costs in time, and in memory.

The plain step takes the batch at once and holds the similarities of all rows. The step in parts holds the activations
of one part, and the similarities of one block.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benchmarks.measuring import Comparison, alternating

if TYPE_CHECKING:
    from zoo.modules import Batch

NAMES = ("left", "right")
SIDE, HIDDEN, LATENT = 32, [32, 64, 128], 64
SIZES = ((1_024, 8), (4_096, 16))
MOST_TIME = 1.6
FEW, MANY = 1_024, 65_536
OBJECTIVES: dict[str, dict[str, Any]] = {
    "infonce": {},
    "sigmoid": {},
    "contrastive": {},
    "triplet": {},
    "alignment": {},
}


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare the seconds of a step, on one thread, then the peak memory of a step of many rows with what it may be."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for rows, parts in SIZES:
        ours, other = seconds(rows, parts, rounds=rounds)
        what = f"infonce, {rows} rows in {parts} parts against the plain step, 1 thread"
        yield Comparison(what, ours, other, "s", at_most=MOST_TIME)
    torch.set_num_threads(before)
    for objective in OBJECTIVES:
        yield memory(objective, MANY)


def memory(objective: str, rows: int) -> Comparison:
    """Compare the peak of a step of ``rows`` with that of 1,024, plus its inputs and four times its embeddings."""
    (few, _), (many, data) = (peak(objective, number) for number in (FEW, rows))
    embeddings = len(NAMES) * rows * LATENT * 4
    what = f"{objective}, peak memory of {rows} rows against {FEW}, inputs and 4 × embeddings"
    return Comparison(what, many / 1e6, (few + data + 4 * embeddings) / 1e6, "MB", at_most=1.0)


def seconds(rows: int, parts: int, *, rounds: int) -> tuple[float, float]:
    """Return the median seconds of a step in parts and of the plain step, of a small convolutional model."""
    from zoo_crossmodal import shared_space

    encoder = {"name": "convolutional", "channels": HIDDEN, "pooling": "mean"}
    ours, plain = (step_of("infonce", rows, number, encoder) for number in (parts, 1))

    def whole() -> None:
        with patch.object(shared_space, "LARGEST_WHOLE", rows):
            plain()

    return alternating(ours, whole, rounds=rounds)


def peak(objective: str, rows: int) -> tuple[int, int]:
    """Return the most memory of a process that takes two steps in parts of 1,024 rows, and that of its inputs.

    Its allocator gives back what is freed, as glibc otherwise does not, so that holes are not counted.
    """
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_take, args=(there, objective, rows))
    with patch.dict(os.environ, {"MALLOC_MMAP_THRESHOLD_": str(256 << 10)}):
        process.start()
    there.close()
    found: tuple[int, int] = here.recv()
    process.join()
    return found


def _take(answer: Connection, objective: str, rows: int) -> None:
    data = batch_of(rows, side=16)
    step = step_of(objective, rows, max(1, rows // FEW), {"name": "mlp", "hidden": [256]}, data)
    for _ in range(2):
        step()
    lines = Path("/proc/self/status").read_text().splitlines()
    most = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    answer.send((most * 1024, sum(one.nbytes for tensors in data.inputs.values() for one in tensors.values())))


def batch_of(rows: int, side: int = SIDE) -> Batch:
    """Return pictures of noise, (row, 1, side, side), as both inputs of so many rows."""
    import torch

    from zoo.modules import Batch

    shape, generator = (rows, 1, side, side), torch.Generator().manual_seed(0)
    pixels = {name: torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator) for name in NAMES}
    inputs = {name: {"pixels": one} for name, one in pixels.items()}
    return Batch(inputs, {name: torch.ones(rows, dtype=torch.bool) for name in NAMES})


def step_of(
    objective: str, rows: int, parts: int, encoder: dict[str, Any], data: Batch | None = None
) -> Callable[[], object]:
    """Return a function that takes a step of training on the same rows each time."""
    from itertools import count

    from zoo import Recipe
    from zoo.discovery.components import make_modalities
    from zoo.discovery.plugins import installed
    from zoo.models.build import build
    from zoo.training.launching import accelerator_for
    from zoo.training.loop import Loop

    batch = data if data is not None else batch_of(rows)
    side = batch.inputs[NAMES[0]]["pixels"].shape[-1]
    one = {"modality": {"name": "image", "size": side, "channels": 1}, "encoder": encoder}
    made = {"name": objective, **OBJECTIVES[objective]}
    spec = {"objective": made, "latent_dim": LATENT, "inputs": dict.fromkeys(NAMES, one)}
    training = {"batch_size": rows, "accumulate": parts}
    recipe = Recipe.read({"spec": spec, "data": "noise", "training": training}, "benchmarks/contrast.py")
    plugins = installed()
    model = build(recipe.spec, make_modalities(recipe.spec, plugins), seed=0, plugins=plugins)
    loop = Loop(model, recipe.training, accelerator_for(recipe.training, Path(tempfile.gettempdir())))
    steps = count()
    return lambda: loop.step(next(steps), batch, rows)
