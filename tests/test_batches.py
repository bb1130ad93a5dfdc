"""Samples become batches; what is missing is a row of zeros that is not present."""

import numpy as np
import pytest
import torch
from zoo_toy.modality import VectorsModality

from zoo.errors import DataError, UsageError
from zoo.models import batches
from zoo.models.batches import RowsInMemory, RowsOnDemand, fit_modality, in_order, load_rows, to_batch
from zoo.protocols import Sample

VECTORS = {"left": VectorsModality(), "right": VectorsModality()}
SAMPLES = [
    Sample("a", {"left": [[1, 2, 3]], "right": [[1, 1, 1], [2, 2, 2]]}),
    Sample("b", {"left": [[4, 5, 6]], "right": None}),
    Sample("c", {"left": [[7, 8, 9]]}),
]


def test_a_missing_value_is_a_row_of_zeros():
    batch = to_batch(SAMPLES, VECTORS)
    assert batch.rows == 3
    assert batch.present["left"].tolist() == [True, True, True]
    assert batch.present["right"].tolist() == [True, False, False]
    assert batch.inputs["right"]["values"].shape == (3, 2, 3)
    assert not batch.inputs["right"]["values"][1:].any()
    assert not batch.inputs["right"]["mask"][1:].any()


def test_a_batch_without_any_value_of_an_input_keeps_its_axes():
    batch = to_batch(SAMPLES[1:], VECTORS)
    assert batch.inputs["right"]["values"].shape == (2, 1, 3)
    assert batch.inputs["right"]["mask"].dtype == torch.bool


def test_an_unreadable_sample_is_named_by_its_key():
    samples = [*SAMPLES, Sample("d", {"left": [[1, 2]], "right": None})]
    with pytest.raises(DataError, match=r"^sample 'd', input 'left': value 0 is \[\[1, 2\]\]; expected up to 6"):
        to_batch(samples, VECTORS)
    with pytest.raises(DataError, match=r"^sample 'd', input 'left': value 0"):
        fit_modality(VECTORS["left"], samples, "left")


def test_gaps_are_not_fitted():
    assert np.allclose(fit_modality(VECTORS["right"], SAMPLES, "right").scale, 0.5)


def test_an_empty_split_is_refused():
    with pytest.raises(UsageError, match="data 'toy', split 'test' has no samples; choose another split or add data"):
        load_rows([], VECTORS, where="data 'toy', split 'test'")


def test_an_input_that_no_sample_has_is_refused():
    with pytest.raises(UsageError, match="toy: no sample has the input 'sound'; the data has left, right"):
        load_rows(SAMPLES, {"sound": VectorsModality()}, where="toy")


def test_what_does_not_fit_in_memory_is_read_when_it_is_taken(monkeypatch):
    whole = load_rows(SAMPLES, VECTORS, where="toy")
    monkeypatch.setattr(batches, "_MEMORY_BYTES", 10)
    lazy = load_rows(SAMPLES, VECTORS, where="toy")
    assert isinstance(whole, RowsInMemory)
    assert isinstance(lazy, RowsOnDemand)
    assert len(whole) == len(lazy) == 3
    for rows in (whole, lazy):
        batch = rows.take(torch.tensor([2, 0]))
        assert batch.inputs["left"]["values"][:, 0].tolist() == [[7, 8, 9], [1, 2, 3]]
        assert batch.present["right"].tolist() == [False, True]


def test_rows_come_in_order_and_the_last_batch_may_be_short():
    rows = load_rows(SAMPLES, VECTORS, where="toy")
    assert [batch.rows for batch in in_order(rows, torch.arange(3), 2)] == [2, 1]


def test_gaps_are_clean_whatever_stood_there():
    batch = to_batch(SAMPLES, VECTORS)
    batch.inputs["right"]["values"][1:] = np.nan
    batch.inputs["right"]["mask"][1:] = True
    clean = batch.with_clean_gaps()
    assert not clean.inputs["right"]["values"][1:].any()
    assert not clean.inputs["right"]["mask"][1:].any()
    assert torch.equal(clean.inputs["right"]["values"][0], batch.inputs["right"]["values"][0])


def test_files_that_are_not_there_are_named_together_before_anything_is_read(tmp_path):
    samples = [Sample(f"s{number}", {"left": tmp_path / f"{number}.txt"}) for number in range(3)]
    (tmp_path / "1.txt").write_text("[[1, 2, 3]]")
    with pytest.raises(
        DataError, match=r"^toy: 2 of 3 samples name files that are not there: 's0' left /.*/0.txt, 's2' "
    ):
        load_rows(samples, {"left": VectorsModality()}, where="toy")


def test_where_no_file_is_there_nothing_is_left(tmp_path):
    samples = [Sample("a", {"left": tmp_path / "none"})]
    with pytest.raises(
        UsageError, match="toy: none of its 1 samples can be read; repair their files, or name other data"
    ):
        load_rows(samples, {"left": VectorsModality()}, where="toy", skip=lambda sample, error: None)
