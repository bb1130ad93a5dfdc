"""Rows of any number become vectors: shard by shard, in order, and none twice after a kill."""

import json
import os
import re
import signal
import time

import numpy as np
import pytest

from zoo.errors import DataError, IntegrityError, UnknownNameError, UsageError
from zoo.files.exclusive import sole_writer
from zoo.runtime.bundle import open_bundle
from zoo.runtime.embedding import embed
from zoo.runtime.ends import output_of
from zoo.runtime.sources import BadRow, Row, open_source
from zoo.runtime.vectors import Vectors, part_of, write_manifest, write_part


@pytest.fixture
def lines(tmp_path):
    """Write objects as JSON lines; text goes in as it is."""

    def write(rows, name="rows.jsonl"):
        path = tmp_path / name
        path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
        return path

    return write


@pytest.fixture
def made(bundle, site, lines, tmp_path):
    """Embed some rows of the toy's left input."""

    def run(rows, out="vectors", **settings):
        source = open_source(rows if not isinstance(rows, list) else lines(rows), ("left",))
        return embed(open_bundle(bundle), "encode_left", source, tmp_path / out, **settings)

    return run


def toy_rows(count):
    """Rows of one to five vectors of three numbers."""
    generator = np.random.default_rng(0)
    return [{"left": generator.standard_normal((1 + row % 5, 3)).round(3).tolist()} for row in range(count)]


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_row_has_its_own_vector_in_order_whatever_the_shards_and_batches(made, bundle):
    rows = toy_rows(25)
    done = made(rows, shard_rows=10, batch_rows=4)
    assert (done.rows, done.skipped, done.before) == (25, 0, 0)
    vectors = Vectors.open(done.path)
    assert [part.rows for part in vectors.parts] == [10, 10, 5]
    found = np.concatenate([part.array() for part in vectors.parts])
    assert found.dtype == np.float32
    alone = [open_bundle(bundle).run("encode_left", {"left": [row["left"]]}) for row in rows]
    assert np.allclose(found, np.concatenate([one["encode_left.latent"] for one in alone]), atol=1e-6)


def test_a_row_is_known_by_its_number_and_what_stood_in_the_source(made):
    rows = toy_rows(7)
    vectors = Vectors.open(made(rows, shard_rows=3).path)
    assert vectors.keys([6, 0]) == [{"number": n, "value": json.dumps(rows[n - 1])} for n in (7, 1)]


def test_one_file_holds_what_the_shards_hold(made, tmp_path):
    shards = Vectors.open(made(toy_rows(9), shard_rows=4).path)
    done = made(toy_rows(9), "one.npy", shard_rows=4)
    assert np.array_equal(np.load(done.path), np.concatenate([part.array() for part in shards.parts]))
    assert Vectors.open(done.path).keys([8]) == shards.keys([8])
    assert {path.name for path in tmp_path.glob("one*")} == {"one.npy", "one.json", "one.keys.jsonl"}
    assert made(toy_rows(9), "one.npy", shard_rows=4).before == 9


def test_a_second_run_goes_on_where_the_first_one_stopped(made, tmp_path):
    whole = content(made(toy_rows(12), "whole", shard_rows=3, batch_rows=2).path)
    stopped = made(toy_rows(12), shard_rows=3, batch_rows=2).path
    for name in ("vectors-00002.npy", "keys-00003.jsonl", "vectors-00003.npy"):
        (stopped / name).unlink()
    manifest = json.loads((stopped / "manifest.json").read_text())
    del manifest["shards"]
    (stopped / "manifest.json").write_text(json.dumps(manifest))
    before = (stopped / "vectors-00001.npy").stat().st_mtime_ns
    assert made(toy_rows(12), shard_rows=3, batch_rows=2).before == 6
    assert content(stopped) == whole
    assert (stopped / "vectors-00001.npy").stat().st_mtime_ns == before
    assert made(toy_rows(12), shard_rows=3, batch_rows=2).before == 12


def test_a_killed_process_loses_no_whole_shard_and_leaves_no_half_one(bundle, lines, zoo_process, tmp_path):
    out, folder = tmp_path / "vectors.npy", tmp_path / "vectors.npy.parts"
    arguments = ("embed", bundle, "encode_left", "--input", lines(toy_rows(5000)), "--shard-rows", 500, "--out", out)
    process = zoo_process(*arguments)
    deadline = time.monotonic() + 60
    while len(list(folder.glob("vectors-*.npy"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = len(list(folder.glob("vectors-*.npy")))
    assert 2 <= left < 10
    with pytest.raises(
        UsageError, match=r"parts is not complete yet; run the same `zoo embed` again, it continues where"
    ):
        Vectors.open(folder)
    stdout, stderr = zoo_process(*arguments, "--json").communicate()
    told = {"truncated": {}, "left_out": []}
    assert json.loads(stdout) == {"path": str(out), "rows": 5000, "skipped": 0, "before": 500 * left, **told}
    assert f"{500 * left} rows were there already" in stderr
    assert [key["number"] for key in Vectors.open(out).keys(range(5000))] == [*range(1, 5001)]
    assert len(np.load(out)) == 5000
    assert not list(tmp_path.rglob(".*staging*"))


def test_a_changed_source_bundle_or_setting_is_refused(made, bundle, tmp_path, rewrite):
    made(toy_rows(4))
    with pytest.raises(IntegrityError, match=r"vectors was begun with another source: source \{.*choose another `out`"):
        made([*toy_rows(3), {"left": [[9, 9, 9]]}])
    with pytest.raises(UsageError, match="vectors was begun with another shard_rows: shard_rows 65536 then and 2 now"):
        made(toy_rows(4), shard_rows=2)
    rewrite(bundle, lambda manifest: manifest.update(origin={}))
    with pytest.raises(IntegrityError, match=r"vectors was begun with another bundle: bundle [0-9a-f]{64} then and "):
        made(toy_rows(4))


@pytest.mark.parametrize("out", ["notes", "notes.npy"])
def test_what_embed_did_not_write_is_left_alone(out, made, tmp_path):
    path = tmp_path / out
    if out == "notes":
        path.mkdir()
        (path / "mine.txt").write_text("mine")
    else:
        np.save(path, np.zeros(3))
    before = os.stat(path)
    with pytest.raises(
        UsageError, match=rf"{out} (holds 'mine.txt'|is a file that `zoo embed` did not write); .*choose"
    ):
        made(toy_rows(2), out)
    assert os.stat(path) == before


BAD = [{"left": [[1, 2, 3]]}, {"left": [[1, 2]]}, "{", {"right": 1}, {"left": None}, "[]", {"left": [[4, 5, 6]]}]


def test_a_bad_line_is_named(made, lines):
    with pytest.raises(
        DataError, match=r"rows.jsonl, line 2: value 0 is \[\[1, 2\]\]; .*continue without such rows by `skip_bad"
    ):
        made(BAD[:2])
    with pytest.raises(
        DataError, match=r"rows.jsonl, line 3: expected an object of JSON: .*; correct it, remove .*oth"
    ):
        made([BAD[0], BAD[6], *BAD[2:]], "other")


def test_a_source_that_was_mended_before_any_shard_was_whole_needs_no_other_place(made):
    with pytest.raises(DataError, match=r"line 2"):
        made(BAD)
    assert made(toy_rows(3)).rows == 3


def test_bad_lines_are_skipped_and_listed(made, bundle):
    done = made(BAD, skips_bad=True)
    assert (done.rows, done.skipped, done.skipped_in.name) == (2, 5, "skipped-*.jsonl")
    listed = [json.loads(line) for line in (done.path / "skipped-00000.jsonl").read_text().splitlines()]
    assert [bad["number"] for bad in listed] == [2, 3, 4, 5, 6]
    assert listed[2]["reason"] == "expected an object with 'left', came {\"right\": 1}"
    assert listed[3]["reason"] == "expected a value of 'left', came none"
    assert [key["number"] for key in Vectors.open(done.path).keys([0, 1])] == [1, 7]


def test_a_source_without_one_good_row_gives_no_vectors(made):
    done = made(BAD[1:6], "one.npy", skips_bad=True)
    assert (np.load(done.path).shape, done.skipped) == ((0, 2), 5)
    assert len((done.path.with_suffix(".skipped.jsonl")).read_text().splitlines()) == 5


def test_the_vector_of_a_graph_is_its_embedding_or_latent(bundle):
    opened = open_bundle(bundle)
    assert output_of(opened, "encode_left") == "encode_left.latent"
    assert output_of(opened, "decode_left") == "decode_left.total"
    with pytest.raises(UnknownNameError, match=r"no vector output 'latent'; available: encode_left.latent"):
        output_of(opened, "encode_left", "latent")


def test_the_command_prints_the_path_the_rate_and_what_was_skipped(zoo, bundle, lines, tmp_path):
    arguments = ("embed", bundle, "encode_left", "--input", lines(BAD), "--out", tmp_path / "vectors")
    refused = zoo(*arguments)
    assert refused.exit_code == 1
    assert refused.error.startswith(f"{tmp_path}/rows.jsonl, line 2: value 0 is [[1, 2]]")
    result = zoo(*arguments, "--skip-bad")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'vectors'}\n")
    assert re.fullmatch(r"2 vectors, \d+ rows/s\nrows that cannot be read: 5, skipped; .*lists.*\n", result.stderr)


def test_paths_are_not_taken_for_values(zoo, bundle, tmp_path, monkeypatch):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/one").write_text("1 2 3")
    from zoo_toy.modality import VectorsModality

    arguments = ("embed", bundle, "encode_left", "--input", tmp_path / "files", "--out", tmp_path / "vectors")
    assert "files, file 1: value 0 is" in zoo(*arguments).error
    monkeypatch.setattr(VectorsModality, "_read", lambda self, place, value: np.zeros((1, 3), np.float32))
    result = zoo(*arguments)
    assert result.exit_code == 2
    assert "left of 'encode_left' reads no files, the path itself would be the value; give a file" in result.error


@pytest.fixture
def cuts(monkeypatch):
    """The toy's modality says of values that begin with 9 that it cuts them."""
    from zoo_toy.modality import VectorsModality

    monkeypatch.setattr(
        VectorsModality,
        "truncated",
        lambda self, values, arrays: [place for place, value in enumerate(values) if value[0][0] == 9],
        raising=False,
    )


@pytest.mark.usefixtures("cuts")
@pytest.mark.parametrize("out", ["vectors", "vectors.npy"])
def test_truncated_rows_are_told_by_number_and_marked_at_their_keys(zoo, bundle, lines, tmp_path, out):
    rows = [{"left": [[first, 0, 0]]} for first in (1, 9, 2, 9, 9)]
    arguments = ("embed", bundle, "encode_left", "--input", lines(rows), "--out", tmp_path / out, "--shard-rows", 2)
    first = zoo(*arguments, "--json")
    assert first.json["truncated"] == {"left": [2, 4, 5]}
    message = "3 of 5 values of 'left' are truncated, since the graph reads only their beginning; rows: 2, 4, 5\n"
    assert message in first.stderr
    again = zoo(*arguments, "--json")
    assert (again.json["before"], again.json["truncated"]) == (5, {"left": [2, 4, 5]})
    keys = Vectors.open(tmp_path / out).keys([0, 1])
    assert [key.get("truncated") for key in keys] == [None, ["left"]]


def test_a_run_that_met_a_bad_row_goes_on_or_tells_what_to_remove(zoo, bundle, lines, tmp_path):
    rows = [{"left": [[1, 2, 3]]}] * 3 + [{"left": [[1, 2]]}]
    out = tmp_path / "vectors.npy"
    arguments = ("embed", bundle, "encode_left", "--input", lines(rows), "--out", out, "--shard-rows", 2)
    folder = f"{out}.parts"
    advice = f"correct it, remove {folder} and embed again, or continue without such rows by --skip-bad"
    assert advice in zoo(*arguments).error
    mended = (*arguments[:4], lines(rows[:3]), *arguments[5:])
    assert f"{folder} was begun with another source: " in zoo(*mended).error
    assert zoo("embed", bundle, "encode_left", "--input", lines(rows), *arguments[5:], "--skip-bad").exit_code == 0


def test_a_name_of_a_file_that_is_no_utf_8_is_kept_at_its_row(bundle, site, lines, tmp_path):
    name = os.fsdecode(b"a\xff")
    part = part_of(tmp_path, 0)
    write_part(part, [([Row(1, name, {})], np.zeros((1, 2), np.float32))], [2], [BadRow(2, name)])
    write_manifest(tmp_path / "manifest.json", {"source": {"name": name}, "shards": [1]})
    held = Vectors.open(tmp_path)
    assert held.keys([0]) == [{"number": 1, "value": name}]
    assert held.manifest["source"] == {"name": name}
    assert json.loads(part.skipped.read_text())["reason"] == name


@pytest.mark.parametrize("name", ["shard_rows", "batch_rows"])
def test_fewer_rows_than_one_at_a_time_are_refused(name, made):
    with pytest.raises(UsageError, match=f"^{name} is at least 1, got 0$"):
        made(toy_rows(3), **{name: 0})


@pytest.mark.parametrize("out", ["vectors", "vectors.npy"])
def test_another_process_at_the_same_place_is_refused_and_leaves_it_as_it_is(out, made, tmp_path):
    folder = tmp_path / (f"{out}.parts" if out.endswith(".npy") else out)
    with (
        sole_writer(folder, "zoo embed"),
        pytest.raises(
            UsageError, match=r"^another `zoo embed` is writing to .*vectors.* right now; wait until .*ended"
        ),
    ):
        made(toy_rows(3), out=out)
    assert not folder.exists()
    assert made(toy_rows(3), out=out).rows == 3
