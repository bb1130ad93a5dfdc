"""The nearest rows are found exactly, in blocks, by the graph that reads the query."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import DataError, IntegrityError, NotFoundError, UsageError
from zoo.runtime import searching
from zoo.runtime.bundle import Bundle, open_bundle
from zoo.runtime.embedding import embed
from zoo.runtime.searching import nearest, query_vector
from zoo.runtime.sources import open_source
from zoo.runtime.vectors import Vectors

ROWS = [[[1, 2, 3]], [[4, 5, 6]], [[-7, 8, -9]], [[1, 2, 2.9]], [[0, -1, 0]]]


@pytest.fixture
def embedded(bundle, site, tmp_path):
    """The vectors of some rows, in shards of two."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps({'left': row})}\n" for row in ROWS))
    opened = open_bundle(bundle)
    embed(opened, "encode_left", open_source(path, ("left",)), tmp_path / "vectors", shard_rows=2)
    return tmp_path / "vectors"


def saved(path, array):
    np.save(path, array)
    return Vectors.open(path)


@pytest.mark.parametrize("by", ["cosine", "dot"])
@pytest.mark.parametrize("k", [1, 7, 300, 1000])
def test_the_nearest_are_those_of_one_whole_product(by, k, tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "BLOCK_ROWS", 64)
    generator = np.random.default_rng(0)
    rows, queries = generator.standard_normal((300, 8), np.float32), generator.standard_normal((3, 8), np.float32)
    found, scores = nearest(saved(tmp_path / "rows.npy", rows), queries, k, by=by)
    whole = queries @ rows.T
    if by == "cosine":
        whole /= np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(rows, axis=1)
    expected = np.argsort(-whole, axis=1, kind="stable")[:, :k]
    assert np.array_equal(found, expected)
    assert np.allclose(scores, np.take_along_axis(whole, expected, axis=1), atol=1e-6)


def test_of_equal_scores_the_earlier_row_comes_first_and_nan_last(tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "BLOCK_ROWS", 2)
    rows = np.array([[np.nan, 1], [0, 0], [1, 0], [2, 0], [0, 1], [3, 0], [-1, 0]], np.float32)
    (found,), (scores,) = nearest(saved(tmp_path / "rows.npy", rows), np.array([[1, 0]], np.float32), 7)
    assert found.tolist() == [2, 3, 5, 1, 4, 6, 0]
    assert scores.tolist() == [1, 1, 1, 0, 0, -1, -np.inf]
    (found,), _ = nearest(saved(tmp_path / "rows.npy", rows), np.array([[1, 0]], np.float32), 2)
    assert found.tolist() == [2, 3]


@pytest.mark.parametrize("by", ["cosine", "dot"])
def test_equal_rows_have_one_score_and_come_in_their_order_wherever_they_lie(by, tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "BLOCK_ROWS", 50)
    generator = np.random.default_rng(0)
    rows = np.tile(generator.standard_normal(513, np.float32), (143, 1))
    (found,), (scores,) = nearest(
        saved(tmp_path / "rows.npy", rows), generator.standard_normal((1, 513), np.float32), 140, by=by
    )
    assert found.tolist() == list(range(140))
    assert len(set(scores.tolist())) == 1


@pytest.mark.parametrize("by", ["cosine", "dot"])
@pytest.mark.parametrize(("offset", "size"), [(1000.0, 1.0), (0.0, 1e25), (0.0, 1e-20)])
def test_the_order_is_the_exact_one_far_from_zero_and_at_every_size(by, offset, size, tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "BLOCK_ROWS", 64)
    generator = np.random.default_rng(1)
    rows, queries = (((generator.standard_normal((n, 16)) + offset) * size).astype(np.float32) for n in (200, 3))
    found, _ = nearest(saved(tmp_path / "rows.npy", rows), queries, 9, by=by)
    exact = queries.astype(float) @ rows.T.astype(float)
    if by == "cosine":
        exact /= np.linalg.norm(rows.astype(float), axis=1)
    assert np.array_equal(found, np.argsort(-exact, axis=1, kind="stable")[:, :9])


def test_no_row_is_found_among_none(tmp_path):
    found, scores = nearest(saved(tmp_path / "rows.npy", np.zeros((0, 2), np.float32)), np.ones((1, 2)), 3)
    assert found.shape == scores.shape == (1, 0)


def test_a_query_of_another_width_or_no_rows_to_find_are_refused(tmp_path):
    vectors = saved(tmp_path / "rows.npy", np.zeros((4, 2), np.float32))
    with pytest.raises(
        UsageError, match=r"rows.npy holds vectors of 2 numbers, the query has 3; search with the model"
    ):
        nearest(vectors, np.ones((1, 3)))
    with pytest.raises(UsageError, match="expected at least 1 row to find, got 0"):
        nearest(vectors, np.ones((1, 2)), 0)


def test_a_row_is_nearest_to_itself(bundle, embedded):
    vectors, opened = Vectors.open(embedded), open_bundle(bundle)
    for place, row in enumerate(ROWS):
        vector = query_vector(opened, vectors, row, graph="encode_left")
        (found,), (scores,) = nearest(vectors, vector, 1, by="cosine")
        assert (found[0], scores[0]) == (place, pytest.approx(1, abs=1e-6))


def test_a_value_that_several_graphs_read_needs_one_named(bundle, embedded):
    with pytest.raises(UsageError, match=r"may be read by encode_\w+, encode_\w+; choose one by `graph`"):
        query_vector(open_bundle(bundle), Vectors.open(embedded), ROWS[0])


def test_a_value_that_no_graph_reads_is_told_with_every_reason(bundle, embedded):
    with pytest.raises(
        UsageError, match=r"no graph of .* embeds 'red': encode_right: value 0 is 'red'; .*encode_left:"
    ):
        query_vector(open_bundle(bundle), Vectors.open(embedded), "red")


def test_a_file_that_is_not_there_is_not_taken_for_a_text(bundle, embedded, monkeypatch):
    opened, prepared = open_bundle(bundle), Bundle.prepared

    def reading_files(self, graph, values):
        if graph == "encode_right":
            raise DataError("picture 0 (none.png): there is no file /none.png; correct the path")
        return prepared(self, graph, {"left": [ROWS[0]]})

    monkeypatch.setattr(Bundle, "prepared", reading_files)
    monkeypatch.setattr(
        searching, "file_suffixes", lambda bundle, inputs: {"right": frozenset({".png"})} if "right" in inputs else {}
    )
    with pytest.raises(
        UsageError, match=r"no file /none.png; correct the path; to search for 'none.PNG' itself, name a graph by `gra"
    ):
        query_vector(opened, Vectors.open(embedded), "none.PNG")
    assert query_vector(opened, Vectors.open(embedded), "none.PNG", graph="encode_left").shape == (1, 2)
    assert query_vector(opened, Vectors.open(embedded), "red").shape == (1, 2)


def test_vectors_of_another_model_are_refused(bundle, embedded, rewrite):
    rewrite(bundle, lambda manifest: manifest.update(checkpoint_sha256="0" * 64))
    with pytest.raises(
        IntegrityError, match=r"vectors was embedded by a model of sha256 \w{64}, .* is of 0{64}; embed"
    ):
        query_vector(open_bundle(bundle), Vectors.open(embedded), ROWS[0], graph="encode_left")


def test_what_holds_no_vectors_says_so(bundle, tmp_path):
    with pytest.raises(NotFoundError, match=r"there is no .*absent; name a folder or an .npy that `zoo embed` wrote"):
        Vectors.open(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match=r"empty holds no vectors: it lacks manifest.json; name what `zoo embed`"):
        Vectors.open(tmp_path / "empty")
    with pytest.raises(IntegrityError, match=r"manifest.json is not a manifest of vectors: it lacks 'kind'; name"):
        Vectors.open(bundle)
    with pytest.raises(
        UsageError, match=r"rows.npy: expected one vector of floats per row, came int64 of shape \(3,\)"
    ):
        saved(tmp_path / "rows.npy", np.arange(3))
    (tmp_path / "torn.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(IntegrityError, match=r"torn.npy cannot be read as an array: .*, or embed again"):
        Vectors.open(tmp_path / "torn.npy")


def test_a_shard_that_was_cut_or_changed_is_noticed(embedded):
    manifest = json.loads((embedded / "manifest.json").read_text())
    (embedded / "manifest.json").write_text(json.dumps({**manifest, "schema": 9}))
    with pytest.raises(UsageError, match=r"is a 'vectors' of schema 9; this modalzoo reads vectors up to 1: upgrade"):
        Vectors.open(embedded)
    (embedded / "manifest.json").write_text(json.dumps(manifest))
    np.save(embedded / "vectors-00001.npy", np.zeros((1, 2), np.float32))
    with pytest.raises(IntegrityError, match=r"vectors-00001.npy has 1 rows, expected 2; embed again"):
        Vectors.open(embedded)
    (embedded / "vectors-00001.npy").write_bytes((embedded / "vectors-00000.npy").read_bytes()[:-4])
    with pytest.raises(IntegrityError, match=r"vectors-00001.npy cannot be read as an array"):
        Vectors.open(embedded)


def test_the_command_prints_the_nearest_with_what_they_were(zoo, bundle, embedded, tmp_path, monkeypatch):
    from zoo_toy.modality import VectorsModality

    read = VectorsModality._read
    monkeypatch.setattr(
        VectorsModality,
        "_read",
        lambda self, place, value: read(self, place, json.loads(value) if isinstance(value, str) else value),
    )
    arguments = ("search", bundle, embedded, "--query", "[[1, 2, 3]]", "--graph", "encode_left")
    found = zoo(*arguments, "-k", 2, "--json").json
    score = pytest.approx(1, abs=1e-5)
    assert found[0] == {
        "row": 0,
        "score": score,
        "number": 1,
        "value": '{"left": [[1, 2, 3]]}',
        "query_truncated": False,
    }
    assert len(found) == 2
    lines = zoo(*arguments).stdout.splitlines()
    assert lines[0].split() == ["SCORE", "ROW", "VALUE"]
    assert lines[1].split(maxsplit=2) == ["1.0000", "0", '{"left": [[1, 2, 3]]}']
    assert len(lines) == 6


@pytest.mark.verify
def test_a_chinese_word_finds_the_picture_of_an_emoji(tmp_path):
    from PIL import Image

    from zoo.discovery.components import make_dataset
    from zoo.discovery.plugins import installed
    from zoo.recipes.spec import Part

    def run(*arguments):
        command = [Path(sys.executable).with_name("zoo"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    (tmp_path / "pictures").mkdir()
    dataset = make_dataset(Part("openmoji", {"languages": ("en",), "size": 32}), installed())
    for sample in (sample for split in ("train", "validation", "test") for sample in dataset.split(split)):
        name = sample.inputs["caption"].replace("/", "-")
        Image.fromarray(sample.inputs["picture"]).save(tmp_path / "pictures" / f"{name}.png")
    run("export", "emoji-search", "--out", tmp_path / "bundle")
    run("embed", tmp_path / "bundle", "encode_picture", "--input", tmp_path / "pictures", "--out", tmp_path / "all.npy")
    found = json.loads(run("search", tmp_path / "bundle", tmp_path / "all.npy", "--query", "足球", "-k", 5, "--json"))
    assert "soccer ball.png" in [one["value"] for one in found]


def test_a_query_and_rows_that_were_truncated_are_told(zoo, bundle, tmp_path, monkeypatch):
    from zoo_toy.modality import VectorsModality

    read = VectorsModality._read
    monkeypatch.setattr(
        VectorsModality,
        "_read",
        lambda self, place, value: read(self, place, json.loads(value) if isinstance(value, str) else value),
    )
    monkeypatch.setattr(
        VectorsModality,
        "truncated",
        lambda self, values, arrays: [place for place, value in enumerate(values) if "9" in str(value)],
        raising=False,
    )
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"left": [[1, 2, 9]]}\n{"left": [[1, 2, 3]]}\n')
    opened = open_bundle(bundle)
    embed(opened, "encode_left", open_source(rows, ("left",)), tmp_path / "vectors")
    arguments = ("search", bundle, tmp_path / "vectors", "--graph", "encode_left", "--query")
    result = zoo(*arguments, "[[1, 2, 9]]", "--json")
    assert result.stderr == "the query is truncated, since the graph reads only its beginning\n"
    assert [(one["number"], one.get("truncated"), one["query_truncated"]) for one in result.json] == [
        (1, ["left"], True),
        (2, None, True),
    ]
    whole = zoo(*arguments, "[[1, 2, 3]]", "--json")
    assert (whole.stderr, whole.json[0]["query_truncated"]) == ("", False)
