"""What holds rows: texts, tables and folders, read the same each time, or refused with what was expected."""

import os
import re

import pytest

from zoo.errors import NotFoundError, UsageError
from zoo.runtime.sources import BadRow, Row, open_source


def test_a_text_gives_a_value_a_line(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffred heart\r\n心\n\nlast".encode())
    source = open_source(path, ("caption",))
    assert source.count == 4
    assert [row.values["caption"] for row in source.rows()] == ["red heart", "心", "", "last"]
    assert [row.number for row in source.rows()] == [1, 2, 3, 4]


def test_a_line_that_is_no_utf_8_is_a_bad_one(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes(b"good\n\xff\xfe\n")
    good, bad = open_source(path, ("caption",)).rows()
    assert good == Row(1, "good", {"caption": "good"})
    assert isinstance(bad, BadRow)
    assert bad.reason.startswith("expected UTF-8: ")


def test_the_files_of_a_folder_are_rows_by_name(tmp_path):
    for name in ("b.png", "a.png", "deeper/c.png", ".hidden"):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pictures" / name).write_text(name)
    source = open_source(tmp_path / "pictures", ("caption", "picture"), name="picture")
    assert [row.shown for row in source.rows()] == ["a.png", "b.png", "deeper/c.png"]
    assert next(source.rows()).values == {"picture": str(tmp_path / "pictures/a.png")}
    assert source.named(2) == f"{tmp_path}/pictures, file 2"
    before = source.fingerprint
    (tmp_path / "pictures/a.png").write_text("changed")
    assert open_source(tmp_path / "pictures", ("picture",)).fingerprint != before


def test_a_source_that_cannot_be_one_says_why(tmp_path):
    with pytest.raises(NotFoundError, match=r"there is no .*absent; expected a folder of files, a text with a value"):
        open_source(tmp_path / "absent", ("left",))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=r"pipe is neither a file nor a folder, and cannot be read twice; expected a"):
        open_source(tmp_path / "pipe", ("left",))
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(UsageError, match=r"empty.txt is empty; expected at least one row"):
        open_source(tmp_path / "empty.txt", ("left",))
    (tmp_path / "a.txt").write_text("a\n")
    advice = "name by `name` the one that the rows belong to, or give"
    with pytest.raises(UsageError, match=f"the graph takes left, right: {advice}"):
        open_source(tmp_path / "a.txt", ("left", "right"))
    with pytest.raises(UsageError, match="the graph has no input 'up'; it takes left, right"):
        open_source(tmp_path / "a.txt", ("left", "right"), name="up")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", "key,caption,picture\n1,red heart,a.png\n2,,b.png\n3,心,\n"),
        ("rows.tsv", "caption\tkey\nred heart\t1\n\t2\n心\t3\n"),
        ("ROWS.CSV", "sep=;\ncaption;key\nred heart;1\n;2\n心;3\n"),
    ],
)
def test_a_table_gives_the_column_that_bears_the_inputs_name(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    source = open_source(tmp_path / name, ("caption",))
    first, bad, last = source.rows()
    assert (first.shown, first.values) == ("red heart", {"caption": "red heart"})
    assert bad.reason == "expected a value of 'caption', came none"
    assert (last.values, last.number - first.number, source.count) == ({"caption": "心"}, 2, 3)


def test_a_table_gives_all_inputs_that_have_a_column_or_the_one_that_is_named(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("caption,picture\nred,a.png\n,b.png\n")
    rows = list(open_source(path, ("caption", "picture", "sound")).rows())
    assert [row.values for row in rows] == [
        {"caption": "red", "picture": "a.png"},
        {"caption": None, "picture": "b.png"},
    ]
    assert [row.values for row in open_source(path, ("caption", "picture"), name="picture").rows()] == [
        {"picture": "a.png"},
        {"picture": "b.png"},
    ]


def test_a_table_without_a_column_for_an_input_says_what_to_call_it(tmp_path):
    (tmp_path / "rows.csv").write_text("text,id\nred,1\n")
    message = "has the columns text, id, but none with the name of an input; call the column that holds the values "
    with pytest.raises(UsageError, match=f"{message}'caption' in the first line"):
        open_source(tmp_path / "rows.csv", ("caption",))


def test_a_row_of_a_table_that_cannot_be_read_is_a_bad_one(tmp_path):
    (tmp_path / "rows.csv").write_text("caption,id\nred,1\nblue\ngreen,3\n")
    good, bad, last = open_source(tmp_path / "rows.csv", ("caption",)).rows()
    assert (good.number, bad.number, last.number) == (2, 3, 4)
    assert bad.reason.startswith("expected 2 cells (caption, id) separated by ',', got 1")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "rows.parquet",
            b"PAR1",
            "is not a kind of file that holds rows; expected a folder of files, a text with a value per l",
        ),
        ("rows.json", b"[]", "is not a kind of file that holds rows"),
        ("cat.png", b"\x89PNG", "is not a kind of file that holds rows"),
        (
            "rows.txt",
            b"PK\x03\x04\x00",
            "is not text in UTF-8: it holds zero bytes, as UTF-16 and files of other kinds d",
        ),
        ("rows.txt", "red".encode("utf-16"), "If it is text, save it as UTF-8; expected a folder of files"),
        ("rows", b"\x7fELF\x00", "is not text in UTF-8: it holds zero bytes"),
        ("rows.txt", b"key,caption\n1,red\n", "begins like a table (.csv); change its suffix to that, or delete the l"),
        ("rows.txt", b'{"caption": "red"}\n', "begins like JSON lines (.jsonl); change its suffix to that"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_its_name_and_content(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(message)):
        open_source(tmp_path / name, ("caption",))


@pytest.mark.parametrize("first", ["caption", "red, green and blue", "{red}", "[1]", '{"text": "red"}'])
def test_a_text_may_begin_with_any_value(first, tmp_path):
    (tmp_path / "rows.txt").write_text(f"{first}\nlast")
    assert [row.shown for row in open_source(tmp_path / "rows.txt", ("caption",)).rows()] == [first, "last"]


def test_files_of_other_kinds_are_left_out_of_a_folder(tmp_path):
    for name in ("a.PNG", "captions.csv", "deeper/b.jpg", "deeper/notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    ends = {"picture": frozenset((".png", ".jpg"))}
    source = open_source(tmp_path, ("picture",), suffixes=ends)
    assert [row.shown for row in source.rows()] == ["a.PNG", "deeper/b.jpg"]
    assert source.left_out == ("captions.csv", "deeper/notes.md")
    (tmp_path / "captions.csv").unlink()
    assert open_source(tmp_path, ("picture",), suffixes=ends).fingerprint == source.fingerprint
    assert open_source(tmp_path, ("picture",)).count == 3


def test_a_folder_without_one_file_that_the_input_reads_says_which_it_would(tmp_path):
    (tmp_path / "notes.md").write_text("notes")
    with pytest.raises(
        UsageError, match=r"holds no file that 'picture' reads, whose names end in .jpg, .png; it holds notes.md"
    ):
        open_source(tmp_path, ("picture",), suffixes={"picture": frozenset((".png", ".jpg"))})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", "picture\n{}\n{}\n{}\n{}\n"),
        ("rows.jsonl", '{{"picture": "{}"}}\n{{"picture": "{}"}}\n{{"picture": "{}"}}\n{{"picture": "{}"}}'),
        ("rows.txt", "{}\n{}\n{}\n{}"),
    ],
)
def test_a_path_is_looked_for_beside_the_file_that_names_it_then_in_the_working_folder(
    name, text, tmp_path, monkeypatch
):
    (tmp_path / "a.png").write_text("a")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "b.png").write_text("b")
    monkeypatch.chdir(tmp_path / "here")
    long = "a picture" + " of nothing" * 40
    (tmp_path / name).write_text(text.format("a.png", "b.png", "none.png", long))
    ends = {"picture": frozenset((".png",))}
    rows = list(open_source(tmp_path / name, ("picture",), suffixes=ends).rows())
    assert [row.values["picture"] for row in rows] == [
        str(tmp_path / "a.png"),
        "b.png",
        str(tmp_path / "none.png"),
        long,
    ]
    assert next(open_source(tmp_path / name, ("picture",)).rows()).values == {"picture": "a.png"}
