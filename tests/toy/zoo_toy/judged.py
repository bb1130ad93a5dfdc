"""A graph to judge, with faults that can be planted in it, and what runs it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from zoo import Axis, Graph, TensorSpec


class Summary(nn.Module):
    """The masked mean through a linear map, and the largest size; two outputs of one shape."""

    def __init__(self, change="") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 4)
        self.change = change

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        mask = tensors["x.mask"].unsqueeze(-1)
        values = torch.where(mask, tensors["x.values"], torch.zeros_like(tensors["x.values"]))
        count = mask.sum(1).clamp(min=1)
        if self.change == "padding leak":
            count = torch.full_like(count, values.shape[1])
        if self.change == "mask ignored":
            values, count = tensors["x.values"] + 1, torch.full_like(count, values.shape[1])
        total = values.sum(0 if self.change == "wrong axis" and values.shape[0] == values.shape[1] else 1)
        mean = self.linear(total / count)
        if self.change == "wrong constant":
            mean = mean + 1e-5
        if self.change == "slightly off":
            mean = mean * (1 + 1e-4)
        if self.change == "rows see each other":
            mean = mean + 1e-3 * total.mean()
        if self.change == "one long row goes wrong":
            mean = mean + (1e-3 if values.shape[1] == 8 else 0)
        top = values.abs().amax(1)
        if self.change == "wrong dtype":
            top = top.double()
        if self.change == "outputs swapped":
            mean, top = top, mean
        return {"toy.mean": mean, "toy.top": top}


def draw(batch, sizes, generator):
    length = sizes["x.length"]
    lengths = generator.integers(1, length + 1, size=(batch, 1))
    lengths[0] = length
    mask = np.arange(length) < lengths
    return {
        "x.values": generator.standard_normal((batch, length, 4), dtype=np.float32) * mask[..., None],
        "x.mask": mask,
    }


def summary():
    """Return the graph of a module without a fault."""
    return Graph(
        "toy",
        Summary().eval(),
        {
            "x.values": TensorSpec("float32", ("batch", "x.length", 4)),
            "x.mask": TensorSpec("bool", ("batch", "x.length")),
        },
        {name: TensorSpec("float32", ("batch", 4)) for name in ("toy.mean", "toy.top")},
        {"x.length": Axis(1, 8, padded=True)},
        draw,
    )


@torch.no_grad()
def run(module, arrays):
    return {name: out.numpy() for name, out in module({n: torch.from_numpy(a) for n, a in arrays.items()}).items()}


def runner(change=""):
    module = Summary(change).eval()
    return lambda arrays: run(module, arrays)


def of_numbers(module):
    def draw(batch, sizes, generator):
        return {"x.values": generator.uniform(1, 4, (batch, 3)).astype(np.float32)}

    values = {"x.values": TensorSpec("float32", ("batch", 3))}
    return Graph("toy", module, values, {"toy.top": TensorSpec("float32", ("batch",))}, {}, draw)
