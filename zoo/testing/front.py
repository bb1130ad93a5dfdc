"""What every front must pass: from raw values it computes, inside a graph, the tensors that the modality computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.models.graphs import as_tensors
from zoo.modules import Front, Tensors
from zoo.offers import TakesRaw
from zoo.testing.contract import Contract


class FrontContract(Contract):
    """Fixtures to give: ``modality``, fitted; ``values``, at least three raw values; ``front``, built for it."""

    subject = "front"

    @pytest.fixture
    def modality(self) -> Any:
        """Return the modality, fitted."""
        raise NotImplementedError("give a fixture 'modality' in the subclass")

    @pytest.fixture
    def values(self) -> Sequence[Any]:
        """Return at least three raw values."""
        raise NotImplementedError("give a fixture 'values' in the subclass")

    @pytest.fixture
    def front(self, modality: Any) -> Front:
        """Return the front of the modality."""
        raise NotImplementedError("give a fixture 'front' in the subclass")

    def test_its_modality_takes_raw_values(self, modality: Any) -> None:
        """It has every member of the protocol, and each raw tensor begins with the batch."""
        assert isinstance(modality, TakesRaw)
        assert modality.raw_tensors
        for name, spec in modality.raw_tensors.items():
            free = {axis for axis in spec.axes[1:] if isinstance(axis, str)}
            assert spec.axes[0] == "batch", name
            assert free <= set(modality.raw_axes), f"{name}: {free - set(modality.raw_axes)} have no bounds"

    def test_raw_arrays_are_as_declared(self, modality: Any, values: Sequence[Any]) -> None:
        """Names, dtypes, sizes and ranges hold for real values and for drawn ones."""
        drawn = [
            modality.raw_example(4, sizes, generator=np.random.default_rng(0))
            for sizes in (
                {axis: bounds.smallest for axis, bounds in modality.raw_axes.items()},
                {axis: bounds.largest for axis, bounds in modality.raw_axes.items()},
            )
        ]
        for rows, arrays in ((len(values), modality.to_raw_arrays(values)), *((4, made) for made in drawn)):
            assert set(arrays) == set(modality.raw_tensors)
            for name, spec in modality.raw_tensors.items():
                assert arrays[name].dtype == spec.dtype, name
                assert arrays[name].shape[0] == rows, name
                assert spec.low <= arrays[name].min() <= arrays[name].max() <= spec.high, f"{name} leaves its range"
                for axis, size in zip(spec.axes[1:], arrays[name].shape[1:], strict=True):
                    bounds = modality.raw_axes.get(axis)
                    assert size == axis if bounds is None else bounds.smallest <= size <= bounds.largest, name

    def test_it_makes_of_raw_values_what_the_modality_makes(
        self, modality: Any, values: Sequence[Any], front: Front
    ) -> None:
        """Except for padding, the tensors are equal, for real values and for drawn ones."""
        sizes = {axis: (bounds.smallest + bounds.largest) // 2 for axis, bounds in modality.raw_axes.items()}
        for raw in (modality.to_raw_arrays(values), modality.raw_example(8, sizes, generator=np.random.default_rng(0))):
            found = front(as_tensors(raw))
            expected = as_tensors(modality.to_arrays(modality.from_raw_arrays(raw)))
            assert set(found) == set(expected)
            for name, tensor in expected.items():
                assert found[name].dtype == tensor.dtype, name
                assert _equal_but_for_padding(found[name], tensor), name

    def test_padding_changes_nothing(self, modality: Any, values: Sequence[Any], front: Front) -> None:
        """Zeros after a raw value only add padding."""
        raw = as_tensors(modality.to_raw_arrays(values))
        for name, tensor in front(_padded(modality, raw)).items():
            assert _equal_but_for_padding(tensor, front(raw)[name]), name

    def test_it_holds_nothing_that_a_checkpoint_would_keep(self, front: Front) -> None:
        """Its tables are computed from the modality: no weights, no persistent buffers."""
        assert not front.state_dict()


def _equal_but_for_padding(first: Tensor, second: Tensor) -> bool:
    """Return whether two tensors are equal in their common part, and zero where one is longer."""
    sizes = [max(pair) for pair in zip(first.shape, second.shape, strict=True)]
    wide = [tensor.new_zeros(sizes) for tensor in (first, second)]
    for zeros, tensor in zip(wide, (first, second), strict=True):
        zeros[tuple(slice(size) for size in tensor.shape)] = tensor
    return torch.equal(*wide)


def _padded(modality: Any, raw: Tensors) -> Tensors:
    longer = {}
    for name, tensor in raw.items():
        for place, axis in enumerate(modality.raw_tensors[name].axes):
            bounds = modality.raw_axes.get(axis)
            if bounds is not None and bounds.padded and tensor.shape[place] < bounds.largest:
                more = tensor.new_zeros([1 if at == place else size for at, size in enumerate(tensor.shape)])
                tensor = torch.cat([tensor, more], dim=place)
        longer[name] = tensor
    return longer
