"""The check of plain words finds relapses in prose, and nothing in code."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_SPEC = importlib.util.spec_from_file_location("tests_words", ROOT / "tests" / "words.py")
words = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(words)

RELAPSES = [
    "Zeros where there is no caption.",
    "Where a value is missing, zeros stand for it.",
    "Raises DataError where the file is broken.",
    "This is no sound.",
    "It returns a row a value.",
    "It gives one a row, in nats a row.",
    "Of two names that one is none.",
    "Of a longer value the end is not read.",
    "It returns what is found.",
    "A front is what reads raw values.",
    "Write a plugin of one's own.",
    "Put a distribution to its contracts.",
    "All but for the last, and nothing but names.",
    "It is copied, lest it change.",
    "It needs a package: who lacks it is told.",
    "The names stand below.",
    "It exports as it stands.",
    "The manifest tells what a graph does.",
    "A fault is told before the first step.",
    "Mend that line.",
    "It is refused, whoever reads it.",
    "Nothing falls back in silence.",
    "Each file has a name of its own.",
    "It goes on from the last checkpoint.",
    "No split 'x'; there is …",
]
PLAIN = [
    "The folder where the weights are kept is printed.",
    "Raises DataError if there is no file.",
    "The result is no longer than the value, with one row per value.",
    "There is no caption, so this is not a pair.",
    "Of all entries, the last one is kept.",
    "A class token stands in front of every text, and a name stands for a file.",
    "The reader is told that it is full; the two can be told apart.",
    "It holds the sha256 of its own content, and goes on.",
]


def found(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return [(line, wording) for line, wording, _ in words.refused(words.prose_of(path))]


@pytest.mark.parametrize("sentence", RELAPSES)
def test_a_relapse_is_refused(tmp_path, sentence):
    assert found(tmp_path, "page.md", sentence)


@pytest.mark.parametrize("sentence", PLAIN)
def test_a_plain_sentence_passes(tmp_path, sentence):
    assert not found(tmp_path, "page.md", sentence)


def test_docstrings_comments_and_messages_are_read(tmp_path):
    source = '"""This is no\nsound."""\n\n# Zeros where there\n# is nothing.\nraise ValueError(f"{name} is no sound")\n'
    assert found(tmp_path, "module.py", source) == [
        (4, "where there is nothing"),
        (1, "is no sound"),
        (6, "is no sound"),
    ]


def test_code_is_not_read(tmp_path):
    assert not found(tmp_path, "module.py", "is_no = where_it_is(there)\n")
    page = "Run `this is no word`:\n\n```python\n# This is no sound.\n```\n\nIt is plain.\n"
    assert not found(tmp_path, "page.md", page)
    assert found(tmp_path, "page.md", page + "This is no sound.\n") == [(8, "is no sound")]


def test_a_refused_wording_is_printed_with_its_line_and_a_plain_one(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("Plain.\nThis is no sound.\n", encoding="utf-8")
    assert words.main([str(page)]) == 1
    out = capsys.readouterr().out
    assert f'{page}:2: "is no sound": "is not a …", or "has no …"\n' in out
    assert out.endswith("wordings to make plain: 1\n")


def test_what_is_done_stays_plain(capsys):
    assert words.main([]) == 0, capsys.readouterr().out
