"""Words are cut at the longest piece that is known, and the pieces are learnt by how often they occur in words."""

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from zoo_text.encoders import BagOfEmbeddings
from zoo_text.modality import TextModality
from zoo_text.tokenizers import words_in
from zoo_text.wordpiece import MOST_LETTERS, WordPieces

from zoo import DataError, UsageError
from zoo.testing import EncoderContract, ModalityContract

TEXTS = ["fire engine", "fire extinguisher", "fire fighter fights", "消防车", "消防员", "Red heart, a red ribbon", ""]


def fitted(*texts, **options):
    return TextModality(tokenizer="wordpiece", **{"vocabulary_size": 60, **options}).fit(texts or TEXTS)


PIECES = fitted(max_length=100)


class TestWordPieces(ModalityContract):
    @pytest.fixture
    def modality(self):
        return fitted(max_length=20)

    @pytest.fixture
    def values(self):
        return TEXTS


class TestAnEncoderOfWordPieces(EncoderContract):
    @pytest.fixture
    def modality(self):
        return fitted(max_length=9)

    @pytest.fixture
    def encoder(self, modality):
        return BagOfEmbeddings(modality, width=8)


def pieces_of(modality, text):
    return [modality.reader.text([token]) for token in modality.reader.ids(text, length=100)]


def cut(word, known):
    """Cut a word as arXiv 2012.15524 states it: greedily, from its beginning on."""
    if len(word) > MOST_LETTERS:
        return ["�"]
    found, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        stop = next((stop for stop in range(len(word), start, -1) if prefix + word[start:stop] in known), None)
        if stop is None:
            return ["�"]
        found.append(word[start:stop])
        start = stop
    return found


@given(st.text(st.sampled_from("firengxtushdab 消防车员z,"), max_size=120))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_longest_piece_is_taken_each_time(text):
    expected = [piece for word in words_in(text) for piece in cut(word, PIECES.reader.pieces)]
    assert pieces_of(PIECES, text) == expected[:100]


def test_a_frequent_word_is_one_piece_and_a_new_one_is_made_of_several():
    assert pieces_of(PIECES, "fire") == ["fire"]
    assert len(pieces_of(PIECES, "firing")) > 1
    assert "".join(pieces_of(PIECES, "firing")) == "firing"


def test_a_piece_inside_a_word_is_another_than_the_same_at_its_beginning():
    first, second = PIECES.reader.ids("ee", length=2)
    assert (PIECES.reader.pieces[first - 2], PIECES.reader.pieces[second - 2]) == ("e", "##e")


def test_a_word_with_a_letter_that_was_not_learnt_is_unknown_as_a_whole():
    assert PIECES.reader.ids("firez fire", length=9) == [1, *PIECES.reader.ids("fire", length=9)]


def test_texts_come_back_in_small_letters_without_punctuation():
    found = PIECES.from_arrays(PIECES.to_arrays(["FIRE engines, fighting!", "消防 车red", "z fire"]))
    assert found == ["fire engines fighting", "消防车 red", "� fire"]


def test_the_vocabulary_is_as_large_as_was_asked_for_half_of_it_letters():
    texts = ["red heart", "reader", "heard", "hard", "dare"]
    modality = fitted(*texts * 2, vocabulary_size=16)
    assert modality.token_count == 16
    assert sum(len(piece.removeprefix("##")) == 1 for piece in modality.reader.pieces) == 7
    assert fitted("ab ab", vocabulary_size=5000).reader.pieces == ("a", "##b", "ab")


def test_of_equally_frequent_letters_the_first_are_learnt():
    assert fitted("d c b a", vocabulary_size=6).reader.pieces == ("a", "b")


def test_nothing_to_learn_leaves_every_word_unknown():
    assert fitted("").reader.ids("red heart", length=5) == [1, 1]


def test_training_is_the_same_in_another_process():
    code = (
        "from zoo_text.modality import TextModality as T;"
        f"print(bytes(T(tokenizer='wordpiece', vocabulary_size=60).fit({TEXTS!r}).state()['pieces']))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == repr(bytes(PIECES.state()["pieces"]))


@pytest.mark.parametrize("piece", ["a", "word ", "消", " ", "!", "\u0300\u0316", "e", "\ud800", "😀"])
def test_a_million_characters_are_quick(piece):
    text = piece * (1_000_000 // len(piece))
    modality = fitted()
    modality.to_arrays(["red"])
    started = time.process_time()
    modality.to_arrays([text])
    assert time.process_time() - started < 0.2


def test_pieces_that_were_not_learnt_are_asked_for():
    with pytest.raises(
        UsageError, match=r"has not learnt its pieces yet; use what fit\(values\) or with_state\(state\)"
    ):
        TextModality(tokenizer="wordpiece").to_arrays(["red"])


def test_the_state_of_another_tokenizer_is_refused():
    state = TextModality().fit(["red"]).state()
    with pytest.raises(DataError, match="tokenizer 'wordpiece' holds 'pieces' as bytes; this one holds vocabulary"):
        TextModality(tokenizer="wordpiece").with_state(state)


def test_a_state_says_the_pieces_a_line():
    modality = fitted("ab ab", vocabulary_size=10)
    assert bytes(modality.state()["pieces"]).decode() == "a\n##b\nab"
    again = TextModality(tokenizer="wordpiece", vocabulary_size=10).with_state(modality.state())
    assert again == modality
    assert again.reader == WordPieces(("a", "##b", "ab"))
    assert np.array_equal(again.to_arrays(["abb"])["ids"], [[4, 3]])
