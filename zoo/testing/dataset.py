"""What every data set must pass."""

from __future__ import annotations

import pytest

from zoo.discovery.plugins import installed
from zoo.errors import ZooError
from zoo.protocols import Dataset
from zoo.testing.contract import Contract

_SPLITS = ("train", "validation", "test")


class DatasetContract(Contract):
    """Fixture to give: ``dataset``."""

    subject = "dataset"

    @pytest.fixture
    def dataset(self) -> Dataset:
        """Return the data set."""
        raise NotImplementedError("give a fixture 'dataset' in the subclass")

    def test_is_a_dataset_with_a_licence(self, dataset: Dataset) -> None:
        """It has every member of the protocol and states the licence of its data."""
        assert isinstance(dataset, Dataset)
        assert dataset.license

    def test_its_inputs_have_modalities(self, dataset: Dataset) -> None:
        """Each input names a registered modality."""
        assert dataset.inputs
        unknown = sorted({*dataset.inputs.values()} - {*installed().names("modality")})
        told = f"no installed plugin registers the modality {', '.join(unknown)}; install it, or correct `inputs`"
        assert not unknown, told

    def test_samples_hold_the_declared_inputs(self, dataset: Dataset) -> None:
        """No sample has an input that the data set does not declare, and none is empty."""
        for split in _SPLITS:
            for sample in dataset.split(split):
                assert set(sample.inputs) <= set(dataset.inputs), sample.key
                assert any(value is not None for value in sample.inputs.values()), sample.key

    def test_no_sample_is_in_two_splits(self, dataset: Dataset) -> None:
        """Keys are distinct over all splits."""
        keys = [sample.key for split in _SPLITS for sample in dataset.split(split)]
        assert len(keys) == len(set(keys))

    def test_the_order_is_always_the_same(self, dataset: Dataset) -> None:
        """Two readings give the same keys in the same order."""
        for split in _SPLITS:
            assert [s.key for s in dataset.split(split)] == [s.key for s in dataset.split(split)]

    def test_an_unknown_split_is_refused(self, dataset: Dataset) -> None:
        """The message names the existing splits."""
        with pytest.raises(ZooError, match="train"):
            dataset.split("no-such-split")
