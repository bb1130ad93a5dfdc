"""Files are decoded in pieces, by worker processes, and once: whatever of these happens, the rows are the same."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from zoo_toy.modality import VectorsModality

from zoo.errors import DataError
from zoo.models.batches import RowsInMemory, RowsOnDemand, load_rows, to_batch
from zoo.protocols import Sample
from zoo.samples import decoded_cache, decoding
from zoo.samples.decoding import Reading, read_columns
from zoo.training.ordering import Order, Share, batches


@dataclass(frozen=True)
class FilesModality(VectorsModality):
    """Vectors that lie in files of JSON."""

    def to_arrays(self, values):
        return super().to_arrays([json.loads(Path(value).read_text()) for value in values])


@pytest.fixture(autouse=True)
def small(monkeypatch, no_settings):
    """Few files are worth the machinery, and none changed just now."""
    monkeypatch.setattr(decoding, "_WORTH_WORKERS", 4)
    monkeypatch.setattr(decoding, "_MOST_ROWS", 3)
    monkeypatch.setattr(decoded_cache, "_FEWEST_FILES", 4)
    monkeypatch.setattr(decoded_cache, "_SETTLED_S", -1.0)


@pytest.fixture
def samples(tmp_path):
    """Ten files of one to five vectors, the fourth missing; a label beside each, in memory."""
    found = []
    for number in range(10):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps([[number, row, 1] for row in range(number % 5 + 1)]))
        found.append(Sample(f"s{number}", {"file": None if number == 3 else path, "given": [[number, 0, 0]]}))
    return found


MODALITIES = {"file": FilesModality(), "given": VectorsModality()}


def same(one, other):
    assert one.present.keys() == other.present.keys()
    for name, tensors in one.inputs.items():
        assert torch.equal(one.present[name], other.present[name])
        for key, tensor in tensors.items():
            assert torch.equal(tensor, other.inputs[name][key]), (name, key)


def refuse(*_):
    raise AssertionError("nothing is to be done here")


@pytest.mark.parametrize("workers", [0, 2])
def test_rows_do_not_depend_on_pieces_or_workers(workers, samples, monkeypatch):
    monkeypatch.setenv("ZOO_DECODED_GB", "0")
    pieces = load_rows(samples, MODALITIES, where="here", reading=Reading(workers)).batch
    monkeypatch.setattr(decoding, "_MOST_ROWS", 1000)
    same(pieces, to_batch(samples, MODALITIES))
    assert pieces.inputs["file"]["values"].shape == (10, 5, 3)
    assert pieces.inputs["file"]["values"][9, :5, 0].tolist() == [9] * 5


@pytest.mark.parametrize("workers", [0, 2])
def test_who_watches_is_told_how_many_values_of_how_many_are_read(workers, samples):
    told = []
    load_rows(samples, MODALITIES, where="here", reading=Reading(workers, lambda *progress: told.append(progress)))
    assert told[0] == (3, 19)
    assert told[-1] == (19, 19)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_worker_cannot_read_is_told_as_if_there_were_none(workers, samples):
    samples[5].inputs["file"].write_text("[[1, 2]]")
    samples[8].inputs["file"].write_text("[[1]]")
    with pytest.raises(
        DataError, match=r"^sample 's5', input 'file': value 0 is \[\[1, 2\]\]; expected up to 6 vectors"
    ):
        load_rows(samples, MODALITIES, where="here", reading=Reading(workers))
    skipped = []
    rows = load_rows(
        samples, MODALITIES, where="here", reading=Reading(workers), skip=lambda *both: skipped.append(both)
    )
    assert [sample.key for sample in rows.samples] == ["s0", "s1", "s2", "s3", "s4", "s6", "s7", "s9"]
    assert [sample.key for sample, _ in skipped] == ["s5", "s8"]
    assert str(skipped[1][1]).startswith("sample 's8', input 'file': value 0 is [[1]]; expected")
    whole = [sample for sample in samples if sample.key not in ("s5", "s8")]
    same(rows.batch, to_batch(whole, MODALITIES))


def test_rows_in_memory_are_not_sent_through_workers(samples, monkeypatch):
    rows = RowsInMemory(to_batch(samples, MODALITIES))
    monkeypatch.setattr("zoo.training.ordering.DataLoader", refuse)
    assert len(list(batches(rows, Order(10, 5, seed=0), Share(), range(2), workers=2))) == 2


def test_what_a_worker_cannot_read_ahead_is_told_as_if_there_were_none(samples):
    samples[5].inputs["file"].write_text("[[1, 2]]")
    rows = RowsOnDemand(samples, MODALITIES)
    with pytest.raises(
        DataError, match=r"^sample 's5', input 'file': value 0 is \[\[1, 2\]\]; expected up to 6 vectors"
    ):
        list(batches(rows, Order(10, 10, seed=0), Share(), range(1), workers=1))


class TestWhatWasDecoded:
    """It is kept as long as nothing on which it depends has changed."""

    @pytest.fixture
    def decodes(self, samples, monkeypatch):
        """Return a function that reads the files and tells whether they had to be decoded."""
        calls = []
        joined = decoding._joined

        def counted(pieces, *rest):
            if pieces.of_files():
                calls.append(pieces)
            return joined(pieces, *rest)

        monkeypatch.setattr(decoding, "_joined", counted)

        def read(modality=MODALITIES["file"], **options):
            calls.clear()
            column = read_columns(samples, {"file": modality}, **options)["file"]
            expected = {place: error for place, error in column.bad.items()}
            whole = [sample for place, sample in enumerate(samples) if place not in expected]
            monkeypatch.setenv("ZOO_DECODED_GB", "0")
            fresh = to_batch(whole, {"file": modality}).inputs["file"]
            monkeypatch.delenv("ZOO_DECODED_GB")
            for key, array in column.arrays.items():
                rows = [place for place, sample in enumerate(whole) if sample.inputs["file"] is not None]
                np.testing.assert_array_equal(array, fresh[key][rows])
            return len(calls) == 2  # the comparison decodes once more

        return read

    def kept(self, tmp_path):
        return sorted((tmp_path / "home/decoded").glob("*/manifest.json"))

    def test_is_decoded_once(self, decodes):
        assert [decodes() for _ in range(3)] == [True, False, False]

    def test_is_not_kept_if_that_is_said(self, samples, monkeypatch, tmp_path):
        monkeypatch.setenv("ZOO_DECODED_GB", "0")
        read_columns(samples, {"file": FilesModality()})
        assert not self.kept(tmp_path)

    @pytest.mark.parametrize("keeps_date", [False, True])
    def test_is_decoded_anew_if_a_file_changes_even_with_its_size_and_date(self, keeps_date, decodes, samples):
        decodes()
        path = samples[5].inputs["file"]
        before = path.stat()
        path.write_text(path.read_text().replace("5", "7"))
        if keeps_date:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size
        assert decodes()

    def test_is_decoded_anew_with_other_options_or_after_another_fit(self, decodes):
        decodes()
        assert decodes(FilesModality(longest=5))
        assert decodes(FilesModality().with_state({"scale": np.full(3, 2, np.float32)}))
        assert not decodes()

    def test_is_decoded_anew_by_other_code_or_another_version(self, decodes, monkeypatch, tmp_path):
        decodes()
        source = decoded_cache._source
        monkeypatch.setattr(decoded_cache, "_source", lambda kind: source(kind) + "changed")
        assert decodes()
        (tmp_path / "decoder-2.0.dist-info").mkdir()
        monkeypatch.syspath_prepend(tmp_path)
        assert decodes()
        assert not decodes()

    def test_is_decoded_anew_in_another_order(self, decodes, samples):
        decodes()
        samples.reverse()
        assert decodes()

    def test_is_decoded_anew_if_what_was_kept_is_damaged(self, decodes, tmp_path, caplog):
        decodes()
        for damage in (self._flipped, self._shortened, self._nonsense):
            (manifest,) = self.kept(tmp_path)
            damage(manifest.parent)
            assert decodes()
            assert "is damaged and is made again" in caplog.text
            caplog.clear()
        assert not decodes()

    def _flipped(self, folder):
        content = bytearray((folder / "0.npy").read_bytes())
        content[-1] ^= 1
        (folder / "0.npy").write_bytes(content)

    def _shortened(self, folder):
        (folder / "1.npy").write_bytes((folder / "1.npy").read_bytes()[:-1])

    def _nonsense(self, folder):
        (folder / "manifest.json").write_text("[]")

    def test_what_changes_while_it_is_decoded_is_not_kept(self, samples, tmp_path):
        path = samples[0].inputs["file"]
        read_columns(
            samples, {"file": FilesModality()}, reading=Reading(0, lambda *_: path.write_text("[[0, 0, 1]]  "))
        )
        assert not self.kept(tmp_path)

    def test_files_that_changed_just_now_are_not_kept(self, samples, tmp_path, monkeypatch):
        monkeypatch.setattr(decoded_cache, "_SETTLED_S", 3600.0)
        read_columns(samples, {"file": FilesModality()})
        assert not self.kept(tmp_path)

    def test_files_that_cannot_be_read_are_known_too_under_the_names_of_the_day(self, decodes, samples):
        samples[5].inputs["file"].write_text("[[1, 2]]")
        assert [decodes(), decodes()] == [True, False]
        samples[5] = Sample("other", samples[5].inputs)
        with pytest.raises(DataError, match=r"^sample 'other', input 'file': value 0 is \[\[1, 2\]\]"):
            read_columns(samples, {"file": FilesModality()}, all_bad=False)

    def test_what_was_not_used_for_longest_makes_room(self, decodes, tmp_path, monkeypatch):
        for longest in (5, 6, 7):
            decodes(FilesModality(longest=longest))
        size_bytes = max(sum(file.stat().st_size for file in path.parent.iterdir()) for path in self.kept(tmp_path))
        assert not decodes(FilesModality(longest=5))
        monkeypatch.setattr(decoded_cache, "_DEFAULT_GB", 2.9 * size_bytes / 1e9)
        assert decodes(FilesModality(longest=8))
        assert len(self.kept(tmp_path)) == 3
        assert [decodes(FilesModality(longest=longest)) for longest in (5, 7, 8, 6)] == [False, False, False, True]

    def test_a_cache_that_may_not_be_written_is_no_fault(self, decodes, tmp_path, monkeypatch):
        monkeypatch.setattr(decoded_cache, "_SPARE_BYTES", shutil.disk_usage(tmp_path).total)
        assert [decodes(), decodes()] == [True, True]
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("ZOO_HOME", str(tmp_path / "file"))
        monkeypatch.setattr(decoded_cache, "_SPARE_BYTES", 0)
        assert decodes()
