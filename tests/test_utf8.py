"""Texts as bytes, for graphs that read them."""

import numpy as np
import pytest

from zoo.errors import DataError
from zoo.utf8 import as_utf8, from_utf8


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


def test_half_a_surrogate_is_a_question_mark():
    assert from_utf8(as_utf8(["a\ud83db"], 9)) == ["a?b"]


@pytest.mark.parametrize(
    ("value", "advice"),
    [(5, r"of type int; expected text \(a str\)$"), (b"red", r"decode it first, as by value\.decode\(\)$")],
)
def test_what_is_no_text_is_refused_by_its_position(value, advice):
    with pytest.raises(DataError, match=rf"value 1 is .*{advice}"):
        as_utf8(["red", value], 9)
