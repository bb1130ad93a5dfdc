"""What every exporter must pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zoo.exporting.judging import judge, make_cases
from zoo.offers import Reduces
from zoo.parity.precisions import PRECISIONS
from zoo.protocols import Axis, Exporter, Graph, TensorSpec
from zoo.testing.contract import Contract


class ExporterContract(Contract):
    """Fixture to give: ``exporter``."""

    subject = "exporter"

    @pytest.fixture
    def exporter(self) -> Exporter:
        """Return the exporter."""
        raise NotImplementedError("give a fixture 'exporter' in the subclass")

    def test_is_an_exporter(self, exporter: Exporter) -> None:
        """It has every member of the protocol, and states the versions of its tools."""
        assert isinstance(exporter, Exporter)
        assert exporter.suffix.startswith(".")
        assert all(exporter.versions().values())

    def test_precisions_are_those_that_have_a_tolerance(self, exporter: Exporter) -> None:
        """If it writes files with fewer bits, their precisions are among those with a stated tolerance."""
        assert not isinstance(exporter, Reduces) or set(exporter.precisions) <= set(PRECISIONS)

    def test_free_axes_stay_free(self, exporter: Exporter, tmp_path: Path) -> None:
        """A file gives correct results at batch sizes and lengths that the export never saw."""
        graph = _graph()
        exporter.write(graph, tmp_path / f"graph{exporter.suffix}")
        first, second = (exporter.open(graph, tmp_path / f"graph{exporter.suffix}") for _ in range(2))
        assert judge(graph, make_cases(graph), first, second).worst.used <= 1

    def test_the_same_model_gives_the_same_bytes(self, exporter: Exporter, tmp_path: Path) -> None:
        """Two exports into two folders are equal, including all files that they leave there."""
        graph = _graph()
        contents = []
        for folder in (tmp_path / "one", tmp_path / "another"):
            folder.mkdir()
            exporter.write(graph, folder / f"graph{exporter.suffix}")
            contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
        assert contents[0] == contents[1]

    def test_the_file_holds_no_path_of_this_machine(self, exporter: Exporter, tmp_path: Path) -> None:
        """The location of the source is private."""
        exporter.write(_graph(), tmp_path / f"graph{exporter.suffix}")
        for path in tmp_path.iterdir():
            content = path.read_bytes()
            for place in (Path(__file__).parent.parent.parent, Path(torch.__file__).parent, tmp_path):
                assert str(place).encode() not in content

    def test_outputs_have_the_declared_names(self, exporter: Exporter) -> None:
        """A loaded graph names its outputs as the graph does, also after its files are deleted."""
        graph = _graph()
        arrays = graph.draw(2, {"words.length": 4}, np.random.default_rng(0))
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"graph{exporter.suffix}"
            exporter.write(graph, path)
            opened = exporter.open(replace(graph, module=cast(Any, None)), path)  # as when a bundle is served
        assert set(opened(arrays)) == set(graph.outputs)


class _MaskedMean(nn.Module):
    """Two inputs, two outputs, a free axis besides the batch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(6, 5)

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the masked mean of the rows and its norm."""
        mask = tensors["words.mask"].unsqueeze(-1).to(self.linear.weight.dtype)
        mean = (self.linear(tensors["words.vectors"]) * mask).sum(1) / mask.sum(1).clamp(min=1)
        return {"toy.mean": mean, "toy.norm": mean.square().sum(-1).sqrt()}


def _graph() -> Graph:
    def draw(batch: int, sizes: Mapping[str, int], generator: np.random.Generator) -> Mapping[str, Any]:
        length = sizes["words.length"]
        mask = np.arange(length)[None] < generator.integers(1, length + 1, size=(batch, 1))
        vectors = generator.standard_normal((batch, length, 6), dtype=np.float32)
        return {"words.vectors": np.where(mask[..., None], vectors, np.float32(0)), "words.mask": mask}

    return Graph(
        "toy",
        _MaskedMean().eval(),
        {
            "words.vectors": TensorSpec("float32", ("batch", "words.length", 6)),
            "words.mask": TensorSpec("bool", ("batch", "words.length")),
        },
        {"toy.mean": TensorSpec("float32", ("batch", 5)), "toy.norm": TensorSpec("float32", ("batch",))},
        {"words.length": Axis(1, 12, padded=True)},
        draw,
    )
