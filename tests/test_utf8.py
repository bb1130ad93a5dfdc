"""Texts as bytes, for graphs that read them."""

import re
import time
import unicodedata

import numpy as np
import pytest

from zoo.errors import DataError, UsageError
from zoo.runtime.utf8 import as_utf8, from_utf8, longer, normalised


def test_texts_are_their_bytes_with_zeros_after_them():
    array = as_utf8(["aé", "消防车", ""], 100)
    assert array.dtype == np.uint8
    assert bytes(array[0]) == "aé".encode() + bytes(6)
    assert from_utf8(array) == ["aé", "消防车", ""]


def test_there_is_at_least_one_byte_and_no_text_too_many():
    assert as_utf8([""], 9).tolist() == [[0]]
    assert as_utf8([], 9).shape == (0, 1)


def test_a_text_is_cut_at_the_most_that_is_read_even_within_a_character():
    assert bytes(as_utf8(["a消防"], 3)[0]) == b"a\xe6\xb6"
    assert from_utf8(as_utf8(["a消防"], 3)) == ["a\N{REPLACEMENT CHARACTER}"]


@pytest.mark.parametrize(
    ("text", "read"),
    [("a\ud83db", "a\ufffdb"), ("\ude92\ud83d", "\ufffd\ufffd"), ("\ud83d\ude92", "🚒"), ("\ud83d", "\ufffd")],
)
def test_a_lone_surrogate_is_the_replacement_character_and_a_pair_its_own(text, read):
    assert from_utf8(as_utf8([text], 9)) == [read]


def test_texts_that_are_canonically_the_same_have_the_same_bytes():
    assert np.ptp(as_utf8(["é 빨간", unicodedata.normalize("NFD", "é 빨간")], 100), axis=0).max() == 0
    assert from_utf8(as_utf8(["ﬁ ﾊﾞ"], 9, "NFKC")) == ["fi バ"]
    assert from_utf8(as_utf8(["ﬁ"], 9)) == ["ﬁ"]


def test_a_text_is_cut_alike_in_whichever_form_it_is_written():
    texts = [unicodedata.normalize(form, "ᾧ빨é" * 50) for form in ("NFC", "NFD")]
    assert as_utf8([texts[0]], 30).tolist() == as_utf8([texts[1]], 30).tolist()
    assert longer([*texts, "ᾧ빨é"], 30) == [0, 1]


def test_a_text_of_accents_alone_is_normalised_in_little_time():
    start = time.monotonic()
    assert len(normalised("\u0301\u0323" * 500_000)) == 1_000_000
    assert time.monotonic() - start < 10


def test_a_lone_text_is_no_list_of_texts():
    with pytest.raises(UsageError, match=re.escape("texts: expected a list of values, got one str; give ['red']")):
        as_utf8("red", 9)


@pytest.mark.parametrize(
    ("value", "advice"),
    [(5, r"of type int; expected text \(a str\)$"), (b"red", r"decode it first, as by value\.decode\(\)$")],
)
def test_what_is_no_text_is_refused_by_its_position(value, advice):
    with pytest.raises(DataError, match=rf"value 1 is .*{advice}"):
        as_utf8(["red", value], 9)
