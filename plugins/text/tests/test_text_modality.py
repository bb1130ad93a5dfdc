import re
import time
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from zoo_text.modality import TextModality

from zoo import DataError, UsageError
from zoo.testing import ModalityContract

TEXTS = ["fire engine", "消防车", "red heart, with a red ribbon", ""]


class TestWords(ModalityContract):
    @pytest.fixture
    def modality(self):
        return TextModality(max_length=12).fit(TEXTS)

    @pytest.fixture
    def values(self):
        return TEXTS


class TestBytes(ModalityContract):
    @pytest.fixture
    def modality(self):
        return TextModality(tokenizer="bytes", max_length=40)

    @pytest.fixture
    def values(self):
        return TEXTS


def words_of(*texts, **options):
    return TextModality(**options).fit(texts)


def test_latin_words_stay_whole_and_each_cjk_character_is_a_token():
    modality = words_of("Fire engine 911, 消防车!")
    assert modality.to_arrays(["Fire engine 911, 消防车!"])["mask"].sum() == 6


def test_case_width_and_accents_written_in_two_ways_are_the_same_word():
    modality = words_of("café straße abc")
    arrays = modality.to_arrays(["café straße abc", "CAFE\u0301 STRASSE ＡＢＣ"])  # noqa: RUF001
    np.testing.assert_array_equal(*arrays["ids"])
    assert (arrays["ids"] > 1).all()


def test_words_of_scripts_with_vowel_signs_stay_whole():
    assert words_of("हिन्दी").token_count == 3


def test_an_unknown_word_has_the_id_one():
    arrays = words_of("red heart").to_arrays(["red dragon"])
    assert arrays["ids"][0, 1] == 1


def test_the_most_frequent_words_are_learnt_and_ties_are_alphabetical():
    first = words_of("b a", "c c", "d", vocabulary_size=5)
    second = words_of("d", "a b", "c c", vocabulary_size=5)
    assert first == second
    assert bytes(first.state()["vocabulary"]).decode() == "c\na\nb"


def test_words_past_the_longest_length_are_neither_read_nor_learnt():
    modality = words_of("one two three", max_length=2)
    assert modality.token_count == 4
    assert modality.to_arrays(["one two three"])["ids"].shape == (1, 2)


@pytest.mark.parametrize("tokenizer", ["words", "wordpiece", "bpe", "bytes"])
def test_texts_of_more_tokens_than_fit_are_told_as_truncated(tokenizer):
    fitted = TextModality(tokenizer=tokenizer, max_length=4).fit(["q w e r"])
    fits = fitted.from_arrays(fitted.to_arrays(["q w e r t y u i"]))[0]
    texts = [fits, f"{fits} q", "", fits.rstrip(), "q w e r t y u i"]
    assert fitted.truncated(texts, fitted.to_arrays(texts)) == [1, 4]


def test_words_behind_what_is_looked_at_of_a_long_text_are_told_as_truncated():
    fitted = words_of("red", max_length=2)
    texts = ["red" + "!" * 5000 + "red", "red" + " " * 5000]
    assert fitted.truncated(texts, fitted.to_arrays(texts)) == [0]


def test_rows_are_padded_to_the_longest_of_the_batch():
    arrays = words_of("a b c").to_arrays(["a", "a b c"])
    np.testing.assert_array_equal(arrays["mask"], [[True, False, False], [True, True, True]])
    np.testing.assert_array_equal(arrays["ids"], [[2, 0, 0], [2, 3, 4]])


def test_an_empty_text_is_a_wholly_masked_row():
    arrays = words_of("a").to_arrays(["", "?!"])
    np.testing.assert_array_equal(arrays["mask"], [[False], [False]])


def test_no_texts_give_no_rows():
    assert words_of("a").to_arrays([])["ids"].shape == (0, 1)


def test_text_comes_back_without_what_was_dropped():
    modality = words_of("red heart 消防车")
    assert modality.from_arrays(modality.to_arrays(["Red dragon, 消防车"])) == ["red � 消防车"]


def test_bytes_read_any_text_and_give_it_back():
    modality = TextModality(tokenizer="bytes")
    texts = ["héllo 消防车 🚒", "\x00\n", ""]
    assert modality.from_arrays(modality.to_arrays(texts)) == texts


def test_bytes_cut_a_long_text_even_inside_a_character():
    modality = TextModality(tokenizer="bytes", max_length=4)
    assert modality.from_arrays(modality.to_arrays(["消防"])) == ["消�"]


def test_half_a_surrogate_pair_is_read_as_the_replacement_character():
    modality = TextModality(tokenizer="bytes")
    assert modality.from_arrays(modality.to_arrays(["\ud800x"])) == ["\N{REPLACEMENT CHARACTER}x"]


def test_probabilities_come_back_as_the_most_probable_words():
    modality = words_of("a b c")
    probability = np.array([[0, 0, 0.1, 0.5, 0.4], [0, 0, 1, 0, 0]])
    assert modality.from_arrays({"word_probability": probability}) == ["b c", "a"]


def test_the_first_row_of_an_example_fills_the_axis_and_every_row_has_a_token():
    modality = words_of("a b c d")
    mask = modality.example(64, {"length": 7}, generator=np.random.default_rng(0))["mask"]
    lengths = mask.sum(axis=1)
    assert lengths[0] == 7
    assert set(lengths) == set(range(1, 8))


def test_an_empty_vocabulary_survives_its_state():
    modality = words_of("", "?")
    assert TextModality().with_state(modality.state()).token_count == 2


@pytest.mark.parametrize("value", [None, 7, 1.5, b"red", b"\xff\xfe", ["red"]])
def test_what_is_no_text_is_named_with_its_position(value):
    modality = words_of("red")
    message = re.escape(f"value 1 is {value!r}, of type {type(value).__name__}; expected text (a str)")
    with pytest.raises(DataError, match=message):
        modality.to_arrays(["red", value])
    with pytest.raises(DataError, match=message):
        modality.fit(["red", value])


@pytest.mark.parametrize("value", [b"red", b"\xff", bytearray(b"red")])
def test_bytes_are_not_guessed_to_be_some_encoding(value):
    with pytest.raises(DataError, match=r"expected text \(a str\); decode it first, as by value.decode\(\)"):
        TextModality(tokenizer="bytes").to_arrays([value])


def test_a_value_that_is_no_text_is_told_in_a_short_message():
    with pytest.raises(DataError, match=r"value 0 is b'aaaa.*, of type bytes") as raised:
        TextModality(tokenizer="bytes").to_arrays([b"a" * 1_000_000])
    assert len(str(raised.value)) < 250


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_bytes_give_any_text_back_but_for_half_surrogates(text):
    modality = TextModality(tokenizer="bytes", max_length=240)
    readable = text.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="replace")
    assert modality.from_arrays(modality.to_arrays([text])) == [unicodedata.normalize("NFC", readable)]


@given(st.lists(st.text(max_size=40), max_size=4))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_a_vocabulary_of_any_text_survives_its_state(texts):
    modality = TextModality().fit(texts)
    again = TextModality().with_state(modality.state())
    assert again == modality
    for name, array in modality.to_arrays(texts).items():
        np.testing.assert_array_equal(again.to_arrays(texts)[name], array)


def test_text_from_right_to_left_keeps_its_words_in_reading_order():
    modality = words_of("שלום עולם مرحبا")
    assert modality.from_arrays(modality.to_arrays(["\u202eשלום, עולם\u202c مرحبا!"])) == ["שלום עולם مرحبا"]  # noqa: RUF001


def test_control_characters_part_words_and_are_dropped():
    modality = words_of("red heart")
    assert modality.from_arrays(modality.to_arrays(["\x00red\x1b\nheart\x7f"])) == ["red heart"]


def test_a_text_that_is_no_word_for_very_long_is_read_no_further():
    modality = words_of("red", max_length=2)
    assert modality.to_arrays(["-" * 2000 + " red"])["mask"].sum() == 1
    assert modality.to_arrays(["-" * 5000 + " red"])["mask"].sum() == 0


def test_a_vocabulary_that_is_no_utf8_is_refused():
    message = "the state 'vocabulary' of a text modality is not UTF-8 from byte 1 on; fetch or train the model again"
    with pytest.raises(DataError, match=message):
        TextModality().with_state({"vocabulary": np.frombuffer(b"a\xff", dtype=np.uint8)})


def test_words_that_were_not_learnt_are_asked_for():
    with pytest.raises(
        UsageError, match=r"has not learnt its words yet; use what fit\(values\) or with_state\(state\)"
    ):
        TextModality().to_arrays(["red"])


def test_the_state_of_another_tokenizer_is_refused():
    with pytest.raises(DataError, match=r"holds 'vocabulary' .*; this one holds nothing; take the state of a modality"):
        TextModality().with_state(TextModality(tokenizer="bytes").state())


@pytest.mark.parametrize("piece", ["a", "word ", "消", " ", "!", "! ", "\u0300\u0316", "\x00", "א ", "\ud800", "😀"])
@pytest.mark.parametrize("tokenizer", ["words", "bytes"])
def test_a_million_characters_are_quick(tokenizer, piece):
    modality = TextModality(tokenizer=tokenizer).fit(["a"])
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    modality.to_arrays([text])
    assert time.process_time() - started < 0.2


@pytest.mark.parametrize("piece", ["a", "word ", "消", " ", "!", "\u0300\u0316"])
def test_a_million_characters_are_drawn(piece):
    started = time.process_time()
    TextModality().draw(piece * (1_000_000 // len(piece)))
    assert time.process_time() - started < 2


@pytest.mark.parametrize("text", ["", " ", "\n\x00", "消防车", "🚒", "\ud800", "x" * 500, "消" * 500])
def test_any_text_can_be_drawn(text):
    picture = TextModality().draw(text)
    assert picture.width == 256
    assert 0 < picture.height < 1000


def test_a_long_text_is_drawn_on_more_lines():
    modality = TextModality()
    assert modality.draw("fire engine " * 8).height > modality.draw("fire engine").height


@pytest.mark.parametrize("tokenizer", ["words", "wordpiece", "bpe"])
@pytest.mark.parametrize("held", [np.array(10**12), np.ones(3), np.ones((2, 2), np.uint8)])
def test_a_state_that_is_no_bytes_is_refused_and_takes_no_memory(tokenizer, held):
    state = {"vocabulary": held, "pieces": held, "tokenizer": held}
    with pytest.raises(DataError, match=r"holds '\w+' as bytes; this one holds pieces, tokenizer, vocabulary"):
        TextModality(tokenizer=tokenizer).with_state(state)
