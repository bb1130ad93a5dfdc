import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from zoo_text.bpe import LONGEST_TOKEN_BYTES, BytePairs
from zoo_text.encoders import BagOfEmbeddings
from zoo_text.modality import TextModality

from zoo import DataError, SpecError, UsageError
from zoo.testing import EncoderContract, ModalityContract

TEXTS = ["fire engine", "fire extinguisher", "消防车", "消防员", "red heart, with a red ribbon", ""]


def fitted(*texts, **options):
    return TextModality(tokenizer="bpe", **{"vocabulary_size": 300, **options}).fit(texts or TEXTS)


PAIRS = fitted(max_length=1000)


class TestBytePairs(ModalityContract):
    @pytest.fixture
    def modality(self):
        return fitted(max_length=20)

    @pytest.fixture
    def values(self):
        return TEXTS


class TestAnEncoderOfBytePairs(EncoderContract):
    @pytest.fixture
    def modality(self):
        return fitted(max_length=9)

    @pytest.fixture
    def encoder(self, modality):
        return BagOfEmbeddings(modality, width=8)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_text_comes_back_as_it_was(text):
    assert PAIRS.from_arrays(PAIRS.to_arrays([text])) == [text]


@pytest.mark.parametrize(
    "text", ["消防车 🚒 fire", "<pad> <unk> [UNK]", " a  b ", "\x00\x1b\n\r\n\t", "שלום \u202eabc", "👩‍🚒"]
)
def test_chinese_emoji_marks_spaces_and_controls_come_back(text):
    assert PAIRS.from_arrays(PAIRS.to_arrays([text])) == [text]


def test_frequent_pairs_become_one_token():
    modality = fitted("fire fire fire fire", vocabulary_size=270)
    assert modality.to_arrays(["fire"])["mask"].sum() == 1


def test_neither_padding_nor_the_unknown_token_stands_for_text():
    arrays = PAIRS.to_arrays(["".join(map(chr, range(0x250))), *TEXTS])
    assert arrays["ids"][arrays["mask"]].min() > 1


def test_padding_says_nothing_and_the_unknown_token_shows_as_unreadable():
    ids = PAIRS.to_arrays(["fire"])["ids"][0]
    row = np.concatenate([[0, 1], ids, [1, 1, 0]])
    arrays = {"ids": row[None], "mask": np.ones((1, len(row)), dtype=bool)}
    assert PAIRS.from_arrays(arrays) == ["�fire��"]


def test_the_vocabulary_is_as_large_as_was_asked_for():
    assert fitted(vocabulary_size=265).token_count == 265


def test_the_vocabulary_stays_smaller_where_no_pair_is_left():
    assert fitted("ab", vocabulary_size=5000).token_count == 258


def test_no_token_is_longer_than_the_bound_that_long_texts_are_cut_by():
    modality = fitted(*["a" * 500, "消" * 500] * 3, vocabulary_size=400)
    texts = (modality.from_arrays({"ids": np.array([[i]]), "mask": np.array([[True]])}) for i in range(2, 400))
    assert max(len(text.encode()) for (text,) in texts if "�" not in text) <= LONGEST_TOKEN_BYTES
    arrays = modality.to_arrays(["a" * 100_000])
    assert arrays["mask"].sum() == 32


def test_a_long_text_is_cut_even_inside_a_character():
    modality = fitted("x", max_length=4)
    assert modality.from_arrays(modality.to_arrays(["消防"])) == ["消�"]


def test_half_a_surrogate_pair_is_read_as_the_replacement_character():
    assert PAIRS.from_arrays(PAIRS.to_arrays(["\ud800x"])) == ["\N{REPLACEMENT CHARACTER}x"]


def test_training_is_the_same_in_another_process():
    code = (
        "import sys; from zoo_text.modality import TextModality as T;"
        f"print(bytes(T(tokenizer='bpe', vocabulary_size=300, max_length=1000).fit({TEXTS!r}).state()['tokenizer']))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == repr(bytes(PAIRS.state()["tokenizer"]))


def test_reading_needs_neither_torch_nor_the_package_before_it_is_used():
    code = (
        "import sys; from zoo_text.modality import TextModality as T; m = T(tokenizer='bpe', vocabulary_size=300);"
        "assert 'tokenizers' not in sys.modules; m.fit(['red']).to_arrays(['red']);"
        "assert 'tokenizers' in sys.modules and 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("piece", ["a", "word ", "消", " ", "!", "\u0300\u0316", "! ", "\x00", "א ", "\ud800", "😀"])
def test_a_million_characters_are_quick(piece):
    text = piece * (1_000_000 // len(piece))
    modality = fitted()
    started = time.process_time()
    modality.to_arrays([text])
    assert time.process_time() - started < 0.2


def test_byte_pairs_that_were_not_learnt_are_asked_for():
    message = r"has not learnt its byte pairs yet; use what fit\(values\) or with_state\(state\) returns"
    with pytest.raises(UsageError, match=message):
        TextModality(tokenizer="bpe").to_arrays(["red"])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "with the tokenizer 'bpe' holds 'tokenizer' as bytes; this one holds nothing; take the state of"),
        ({"vocabulary": b"red"}, "holds 'tokenizer' as bytes; this one holds vocabulary"),
        (
            {"tokenizer": b"{"},
            "the state 'tokenizer' of a text modality is not the JSON of a tokenizer: .*; fetch or train",
        ),
        ({"tokenizer": b"\xff"}, "the state 'tokenizer' of a text modality is not UTF-8 from byte 0 on; fetch or"),
    ],
)
def test_a_state_that_cannot_be_read_is_refused(state, message):
    arrays = {name: np.frombuffer(content, dtype=np.uint8) for name, content in state.items()}
    with pytest.raises(DataError, match=message):
        TextModality(tokenizer="bpe").with_state(arrays)


def test_a_vocabulary_without_room_for_every_byte_is_refused():
    message = "'vocabulary_size' is at least 258 for this 'tokenizer', got vocabulary_size 257 and tokenizer 'bpe'"
    with pytest.raises(SpecError, match=message):
        TextModality(tokenizer="bpe", vocabulary_size=257)


def test_two_that_learnt_the_same_are_equal():
    assert BytePairs("{}") == BytePairs("{}")
    assert fitted() == fitted()
    assert fitted() != fitted("other text, other text")
