"""Joint models' training against bare loops of the same mathematics, over two inputs: whole rows, and rows with gaps.

The bare loops know of no gaps, and take whole rows in both cases. How much arithmetic they get done is compared with a
product of matrices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

from benchmarks.measuring import Comparison, alternating
from benchmarks.objectives import recipe
from benchmarks.training import BATCH, steps_in_turn

LEAST_SHARE = 0.85
SIDE_OF_MATRIX = 1024
STEPS_A_ROUND = 5


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare samples a second, on one thread; then what the bare loops compute a second with what could be."""
    import torch

    from benchmarks.joint_loops import (
        CODE_HIDDEN,
        CONDITION,
        INPUTS,
        JMVAE_ALPHA,
        MODELS,
        MVTCAE_ALPHA,
        PRIVATE,
        SAMPLES,
        bare,
    )

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    options: dict[str, dict[str, Any]] = {
        "fusion": {"hidden": [CODE_HIDDEN]},
        "mmvae": {"samples": SAMPLES},
        "jmvae": {"hidden": [CODE_HIDDEN], "alpha": JMVAE_ALPHA},
        "mvtcae": {"alpha": MVTCAE_ALPHA},
        "cvae": {"hidden": [CODE_HIDDEN], "condition_dim": CONDITION},
        "dmvae": {"private_dim": PRIVATE},
    }
    for name, model in MODELS.items():
        for gaps in (False, True):
            settings = recipe(name, INPUTS, options.get(name, {}), decoders=True, gaps=gaps)
            ours, other = steps_in_turn(settings, bare(model()))
            what = f"training, {name}, batch {BATCH}, 1 thread{', a third of the rows with a gap' if gaps else ''}"
            yield Comparison(what, BATCH / ours, BATCH / other, "samples/s", at_least=LEAST_SHARE)
    for name, model in MODELS.items():
        yield _arithmetic(name, bare(model()), rounds)
    torch.set_num_threads(before)


def _arithmetic(name: str, loop: Iterator[None], rounds: int) -> Comparison:
    """Compare what the products of a loop compute a second, its whole time counted, with a single large product."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        next(loop)
    flops = counter.get_total_flops()
    square = torch.rand(SIDE_OF_MATRIX, SIDE_OF_MATRIX)
    loop_s, square_s = alternating(
        lambda: deque(islice(loop, STEPS_A_ROUND), maxlen=0), lambda: square @ square, rounds=rounds
    )
    what = f"arithmetic of the bare loop of {name}, {flops / BATCH / 1e6:.2f} MFLOP a sample, 1 thread"
    done = STEPS_A_ROUND * flops / loop_s / 1e9
    return Comparison(what, done, 2 * SIDE_OF_MATRIX**3 / square_s / 1e9, "GFLOP/s")
