"""What every modality must pass."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL.Image import Image

from zoo.errors import DataError, UsageError
from zoo.models.checkpoint import fault_of_state
from zoo.offers import Truncates, WritesFiles
from zoo.protocols import Modality
from zoo.recipes.naming import PRESENT
from zoo.testing.contract import Contract
from zoo.testing.drawing import sizes_of
from zoo.testing.naming import require_range


class ModalityContract(Contract):
    """Fixtures to give: ``modality``, fitted, and ``values``, at least three raw values."""

    subject = "modality"

    @pytest.fixture
    def modality(self) -> Modality:
        """Return the modality, fitted."""
        raise NotImplementedError("give a fixture 'modality' in the subclass")

    @pytest.fixture
    def values(self) -> Sequence[Any]:
        """Return at least three raw values."""
        raise NotImplementedError("give a fixture 'values' in the subclass")

    def test_is_a_modality(self, modality: Modality) -> None:
        """It has every member of the protocol."""
        assert isinstance(modality, Modality)

    def test_the_first_axis_of_each_tensor_is_the_batch(self, modality: Modality) -> None:
        """Rows can be selected, dropped and joined without knowing the modality."""
        assert modality.tensors
        for name, spec in modality.tensors.items():
            assert spec.axes[0] == "batch", name
            free = {axis for axis in spec.axes[1:] if isinstance(axis, str)}
            assert free <= set(modality.axes), f"{name}: {free - set(modality.axes)} have no bounds"

    def test_no_tensor_is_called_like_the_one_that_tells_of_gaps(self, modality: Modality) -> None:
        """A graph says by ``present`` which rows have an input."""
        message = f"a tensor is called {PRESENT!r}, the name by which graphs mark gaps; rename it"
        assert PRESENT not in modality.tensors, message

    def test_no_tensor_has_the_width_0(self, modality: Modality) -> None:
        """Every fixed axis, and every free one at its largest, has a size of at least 1."""
        for name, spec in modality.tensors.items():
            for axis in spec.axes[1:]:
                largest = axis if isinstance(axis, int) else modality.axes[axis].largest
                assert largest >= 1, f"{name}: the axis {axis} has at most {largest} places; declare at least 1"

    def test_arrays_are_as_declared(self, modality: Modality, values: Sequence[Any]) -> None:
        """Names, dtypes, fixed sizes, bounds and ranges hold for real values."""
        _check(modality, modality.to_arrays(values), len(values))

    def test_examples_are_as_declared_at_every_size(self, modality: Modality) -> None:
        """Drawn arrays are valid, with free axes at the sizes that were requested."""
        for sizes in sizes_of(modality):
            arrays = modality.example(4, sizes, generator=np.random.default_rng(0))
            _check(modality, arrays, 4)
            for name, spec in modality.tensors.items():
                for axis, found in zip(spec.axes[1:], arrays[name].shape[1:], strict=True):
                    assert isinstance(axis, int) or found == sizes[axis], (
                        f"{name}: {axis} is {found}, not {sizes[axis]}"
                    )

    def test_an_example_follows_from_its_generator(self, modality: Modality) -> None:
        """The same seed draws the same arrays."""
        sizes = next(sizes_of(modality))
        first, second = (modality.example(3, sizes, generator=np.random.default_rng(7)) for _ in range(2))
        for name in modality.tensors:
            np.testing.assert_array_equal(first[name], second[name])

    def test_a_value_has_the_same_arrays_alone_and_among_others(
        self, modality: Modality, values: Sequence[Any]
    ) -> None:
        """Except for padding, a row does not depend on its neighbours."""
        together = modality.to_arrays(values)
        for row, value in enumerate(values):
            alone = modality.to_arrays([value])
            for name, array in alone.items():
                cut = together[name][row][tuple(slice(size) for size in array.shape[1:])]
                np.testing.assert_array_equal(array[0], cut, err_msg=f"{name} of value {row}")

    def test_the_state_rebuilds_what_fit_learnt(self, modality: Modality, values: Sequence[Any]) -> None:
        """A fresh copy with the state of a fitted one makes the same arrays."""
        state = modality.state()
        assert not (fault := fault_of_state(state)), fault
        again = modality.with_state(state)
        for name, array in modality.to_arrays(values).items():
            np.testing.assert_array_equal(again.to_arrays(values)[name], array, err_msg=name)

    def test_fitting_changes_no_instance_and_is_repeatable(self, modality: Modality, values: Sequence[Any]) -> None:
        """``fit`` returns a copy; fitting twice on the same values learns the same."""
        before = modality.state()
        first, second = modality.fit(values).state(), modality.fit(values).state()
        for name, array in before.items():
            np.testing.assert_array_equal(modality.state()[name], array)
        for name, array in first.items():
            np.testing.assert_array_equal(second[name], array)

    def test_values_come_back_from_arrays(self, modality: Modality, values: Sequence[Any]) -> None:
        """Each row gives one value that a person can read."""
        assert len(modality.from_arrays(modality.to_arrays(values))) == len(values)

    def test_a_value_can_be_drawn(self, modality: Modality, values: Sequence[Any]) -> None:
        """A picture of a value, and of what comes back from arrays."""
        back = modality.from_arrays(modality.to_arrays(values))
        for value in [values[0], back[0]]:
            picture = modality.draw(value)
            assert isinstance(picture, Image)
            assert min(picture.size) > 0

    def test_a_value_can_be_written_where_files_are_offered(
        self, modality: Modality, values: Sequence[Any], tmp_path: Path
    ) -> None:
        """``write`` leaves a file."""
        if isinstance(modality, WritesFiles):
            path = tmp_path / f"value{modality.suffix}"
            modality.write(values[0], path)
            assert path.stat().st_size > 0, f"expected a file, {path.name} is empty"

    def test_truncated_values_are_told_alone_and_among_others(self, modality: Modality, values: Sequence[Any]) -> None:
        """If a modality reports truncated values, it gives their positions in order, the same alone and in a batch."""
        if isinstance(modality, Truncates):
            alone = [
                row for row, value in enumerate(values) if modality.truncated([value], modality.to_arrays([value]))
            ]
            found = list(modality.truncated(values, modality.to_arrays(values)))
            assert found == alone, f"truncated values: {found} of all together, {alone} one by one"

    def test_a_thing_of_another_kind_is_refused(self, modality: Modality) -> None:
        """A value of another kind raises DataError, instead of a crash later on."""
        with pytest.raises(DataError):
            modality.to_arrays([object()])

    def test_a_lone_value_is_no_list_of_values(self, modality: Modality) -> None:
        """A single value in place of a list is refused, so that a text is not taken apart into its letters."""
        for lone in ("red heart", b"red", {"red": 1}, {"red"}):
            with pytest.raises((UsageError, DataError)):
                modality.to_arrays(lone)  # type: ignore[arg-type]

    def test_its_module_imports_no_torch(self, modality: Modality) -> None:
        """The runtime uses modalities on machines without torch."""
        code = f"import sys, {type(modality).__module__}; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _check(modality: Modality, arrays: Any, rows: int) -> None:
    assert set(arrays) == set(modality.tensors)
    sizes: dict[str, int] = {}
    for name, spec in modality.tensors.items():
        array = arrays[name]
        assert array.dtype == spec.dtype, f"{name} is {array.dtype}, declared {spec.dtype}"
        assert array.ndim == len(spec.axes), f"{name} has shape {array.shape}, declared {spec.axes}"
        assert array.shape[0] == rows
        for axis, size in zip(spec.axes[1:], array.shape[1:], strict=True):
            if isinstance(axis, int):
                assert size == axis, f"{name}: {size} instead of {axis}"
            else:
                bounds = modality.axes[axis]
                assert bounds.smallest <= size <= bounds.largest, f"{name}: {axis} = {size} is out of bounds"
                assert sizes.setdefault(axis, size) == size, f"{name}: {axis} differs between tensors"
        require_range(name, array, spec)
