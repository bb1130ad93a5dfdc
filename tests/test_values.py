"""Raw values become arrays: a single value is refused, truncation is reported, and answers come back as values."""

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from zoo_toy.modality import VectorsModality

from zoo import by_subset, every_subset, listed
from zoo.errors import DataError, UnknownNameError, UsageError
from zoo.files.fetching import Wanted
from zoo.reading.npy import read_npy
from zoo.runtime.bundle import open_bundle
from zoo.runtime.searching import nearest
from zoo.runtime.sources import open_source
from zoo.runtime.vectors import Vectors

VECTORS = [[[1, 2, 3]], [[9, 5, 6], [7, 8, 9]], [[9, 0, 0]]]
LONE = {
    "text": ("red heart", "got one str; give ['red heart']"),
    "bytes": (b"red heart", "got one bytes; give [value]"),
    "path": (Path("red.png"), "got one PosixPath; give [value]"),
    "picture": (Image.new("L", (3, 3)), "got one Image; give [value]"),
    "mapping": ({"nodes": ["C"]}, "got one dict; give [value]"),
    "number": (3.5, "got one float; give [value]"),
    "no axes": (np.array(3.5), "got one ndarray; give [value]"),
    "nothing": (None, "got one NoneType; give [value]"),
    "generator": ((value for value in VECTORS), "got a generator; give list(values)"),
    "set": ({"red"}, "got a set, which has no order"),
}


@pytest.fixture
def opened(bundle, site):
    return open_bundle(bundle)


@pytest.fixture
def cuts(monkeypatch):
    """The toy's modality says of values that begin with 9 that it cuts them."""

    def truncated(self, values, arrays):
        assert len(values) == len(arrays["mask"])
        return [place for place, value in enumerate(values) if value[0][0] == 9]

    monkeypatch.setattr(VectorsModality, "truncated", truncated, raising=False)


@pytest.mark.parametrize("lone", LONE.values(), ids=list(LONE))
@pytest.mark.parametrize("name", ["left", "left.values"])
@pytest.mark.parametrize("call", ["run", "arrays", "prepared", "truncated"])
def test_a_lone_value_in_place_of_a_list_is_refused(opened, call, name, lone):
    value, message = lone
    with pytest.raises(UsageError, match=re.escape(f"the input {name!r}: expected a list of values, {message}")):
        getattr(opened, call)("encode_left", {name: value})


@pytest.mark.parametrize("values", ["red", ["red"], None, np.zeros((1, 2))])
def test_values_that_are_not_by_input_are_refused(opened, values):
    with pytest.raises(UsageError, match=r"the graph 'encode_left' takes values by input, as in .*; got a "):
        opened.run("encode_left", values)


@pytest.mark.parametrize(
    "kind", [list, tuple, lambda rows: np.array(rows[:1] * 2), lambda rows: [*map(np.array, rows)]]
)
def test_lists_tuples_and_arrays_are_rows(opened, kind):
    values = kind(VECTORS)
    assert len(opened.run("encode_left", {"left": values})["encode_left.latent"]) == len(values)


def test_arrays_that_are_no_arrays_are_refused(opened):
    message = "the graph 'decode_left' takes NumPy arrays; 'latent' came as list: give raw values to Bundle.run"
    with pytest.raises(UsageError, match=message):
        opened.run_arrays("decode_left", {"latent": [[0.0, 0.0]]})
    with pytest.raises(UsageError, match="the graph 'decode_left' takes arrays by tensor; got a list"):
        opened.run_arrays("decode_left", [[0.0, 0.0]])
    with pytest.raises(UsageError, match=r"takes latent: float32 \(batch, 2\); 'latent' came as float64 of shape \(2,"):
        opened.run_arrays("decode_left", {"latent": np.zeros(2)})


def test_a_lone_name_is_no_list_of_names(checkpoint, opened, tmp_path):
    lone = "expected a list of values, got one str; give ['{}']"
    for call, name in (
        (lambda: checkpoint.model.graphs("encode_left"), "encode_left"),
        (lambda: every_subset("left"), "left"),
        (lambda: by_subset(["left"], {"left": {"nll": 1.0}}), "left"),
        (lambda: Wanted("a.bin", 1, "0" * 64, "https://host/a.bin"), "https://host/a.bin"),
        (lambda: open_source(tmp_path, "left"), "left"),
    ):
        with pytest.raises(UsageError, match=re.escape(lone.format(name))):
            call()


def test_a_lone_query_is_no_table_of_queries(tmp_path):
    np.save(tmp_path / "rows.npy", np.ones((3, 2), np.float32))
    message = "expected queries of shape (query, number), got (2,); give vector[None] for one"
    with pytest.raises(UsageError, match=re.escape(message)):
        nearest(Vectors.open(tmp_path / "rows.npy"), np.ones(2, np.float32))


def test_an_iterator_is_taken_where_values_are_read_once():
    assert list(listed(iter("ab"), "texts", once=True)) == ["a", "b"]
    with pytest.raises(UsageError, match="texts: expected a list of values, got one str"):
        listed("ab", "texts", once=True)


@pytest.mark.usefixtures("cuts")
def test_truncated_rows_are_told_by_input_and_place(opened):
    assert opened.truncated("encode_left", {"left": VECTORS}) == {"left": [1, 2]}
    assert opened.truncated("encode_left", {"left": VECTORS[:1]}) == {}


@pytest.mark.usefixtures("cuts")
def test_the_first_run_that_cuts_values_logs_how_many(opened, caplog):
    with caplog.at_level(logging.WARNING, logger="zoo"):
        for _ in range(2):
            opened.run("encode_left", {"left": VECTORS})
    assert [record.getMessage() for record in caplog.records] == [
        "encode_left: 2 of 3 values of 'left' are truncated, since the graph reads only their beginning; "
        "Bundle.truncated returns which rows; this is logged once"
    ]


def test_a_modality_that_cuts_nothing_logs_nothing(opened, caplog):
    opened.run("encode_left", {"left": VECTORS})
    assert caplog.records == []


def test_only_the_modality_of_the_input_is_needed(opened, bundle, rewrite):
    spec = json.loads((bundle / "spec.json").read_text())
    next(entry for entry in spec["spec"]["inputs"] if entry["name"] == "right")["modality"] = "absent"
    (bundle / "spec.json").write_text(json.dumps(spec))
    rewrite(bundle, files=True)
    one = open_bundle(bundle)
    assert len(one.run("encode_left", {"left": VECTORS})["encode_left.latent"]) == 3
    with pytest.raises(UnknownNameError, match="no modality 'absent'"):
        one.run("encode_right", {"right": VECTORS})


def test_an_answer_comes_back_as_values_in_their_units(opened):
    outputs = opened.run("decode_left", {"latent": np.ones((2, 2), np.float32)})
    scale = opened.modality("left").scale
    assert np.allclose(opened.values(outputs), outputs["decode_left.total"][:, None] * scale)
    assert opened.values(opened.run("encode_left", {"left": VECTORS})) == []


def test_the_command_prints_values_in_their_units(zoo, bundle, opened, tmp_path):
    np.save(tmp_path / "latent.npy", np.ones((2, 2), np.float32))
    arguments = ("run", bundle, "decode_left", "-i", f"latent={tmp_path / 'latent.npy'}")
    expected = opened.values(opened.run("decode_left", {"latent": np.ones((2, 2), np.float32)}))
    found = zoo(*arguments, "--json").json
    assert np.allclose(found["values"], expected)
    assert found["truncated"] == {}
    lines = zoo(*arguments).stdout.splitlines()
    first = ", ".join(f"{number:.4g}" for number in expected[1][0])
    assert lines[2] == f"left[1]  float64 (1, 3)  {first}"


@pytest.mark.parametrize(
    ("value", "shown", "as_json"),
    [
        ("red heart\nand more", '"red heart\\nand more"', "red heart\nand more"),
        (Image.new("L", (2, 1), 7), "uint8 (1, 2)  7, 7", [[7, 7]]),
        ({"hours": 3}, '{"hours": 3}', {"hours": 3}),
        (3.25, "3.25", 3.25),
        (np.ones(2, np.float32), "float32 (2,)  1, 1", [1, 1]),
    ],
)
def test_any_kind_of_value_is_printed(zoo, bundle, tmp_path, monkeypatch, value, shown, as_json):
    monkeypatch.setattr(VectorsModality, "from_arrays", lambda self, arrays: [value])
    np.save(tmp_path / "latent.npy", np.ones((1, 2), np.float32))
    arguments = ("run", bundle, "decode_left", "-i", f"latent={tmp_path / 'latent.npy'}")
    assert zoo(*arguments).stdout.splitlines()[1] == f"left[0]  {shown}"
    assert zoo(*arguments, "--json").json["values"] == [as_json]


def test_numbers_are_shown_where_they_stand_for_no_value(zoo, bundle, tmp_path, monkeypatch):
    def refuses(self, arrays):
        raise DataError("total holds NaN")

    monkeypatch.setattr(VectorsModality, "from_arrays", refuses)
    np.save(tmp_path / "latent.npy", np.ones((1, 2), np.float32))
    result = zoo("run", bundle, "decode_left", "-i", f"latent={tmp_path / 'latent.npy'}")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)
    assert result.stderr == "only numbers are shown: total holds NaN\n"


def huge_npy(path, shape=(10**15, 2)):
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return path


def test_a_header_of_petabytes_takes_no_memory(zoo, bundle, tmp_path):
    path = huge_npy(tmp_path / "huge.npy")
    message = f"{path} cannot be read as an array: its header says float32 of shape (1000000000000000, 2), which is "
    message += "8000000000000000 bytes; 0 follow; write it by numpy.save"
    for mapped in (False, True):
        with pytest.raises(DataError, match=re.escape(message)):
            read_npy(path, mapped=mapped)
    result = zoo("run", bundle, "decode_left", "-i", f"latent={path}")
    assert (result.exit_code, result.error) == (1, f"-i latent={path}: {message}")
    assert zoo("search", bundle, path, "--query", "red").exit_code == 4


@pytest.mark.parametrize("shape", [(-1, 2), (2**70,), (3, 2)])
def test_a_header_that_its_file_does_not_bear_out_is_refused(shape, tmp_path):
    with pytest.raises(DataError, match=r"its header says float32 of shape .*; 0 follow; write it by numpy.save"):
        read_npy(huge_npy(tmp_path / "wrong.npy", shape))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "EOF"),
        (b"PK\x03\x04 and more", "magic string is not correct"),
        (b"\x93NUMPY\x09\x00", "version 9.0 of .npy, expected 1.0 or 2.0"),
        (b"\x93NUMPY\x01\x00\xff\xff", "EOF"),
    ],
)
def test_what_is_no_npy_is_refused(content, reason, tmp_path):
    (tmp_path / "some.npy").write_bytes(content)
    with pytest.raises(DataError, match=f"cannot be read as an array: .*{reason}"):
        read_npy(tmp_path / "some.npy")


def test_an_array_of_objects_is_refused(tmp_path):
    np.save(tmp_path / "some.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match=r"it holds Python objects, expected numbers; write it by numpy\.save"):
        read_npy(tmp_path / "some.npy")


@pytest.mark.parametrize("order", ["ab", "ba", "aa"])
def test_an_npy_holds_all_rows_of_an_input(zoo, bundle, tmp_path, order):
    np.save(tmp_path / "latent.npy", np.ones((1, 2), np.float32))
    named = {"a": f"latent={tmp_path / 'latent.npy'}", "b": "latent=1"}
    result = zoo("run", bundle, "decode_left", *(part for one in order for part in ("-i", named[one])))
    assert result.exit_code == 2
    assert result.error == f"-i {named[order[1]]}: 'latent' was given before; one .npy holds all rows of an input"


def test_values_that_take_more_memory_than_there_is_are_told(opened, monkeypatch):
    def full(modality, values):
        raise MemoryError("Unable to allocate 2.73 TiB")

    monkeypatch.setattr("zoo_toy.modality.VectorsModality.to_arrays", full)
    expected = (
        r"^the values of 'left' take more memory than there is \(Unable to allocate 2.73 TiB\); give fewer at a time"
    )
    with pytest.raises(DataError, match=expected):
        opened.run("encode_left", {"left": VECTORS})
