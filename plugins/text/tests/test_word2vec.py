import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from zoo_text.word2vec import LONGEST_WORD_BYTES, WordVectors, read_word2vec, write_word2vec

from zoo import DataError

RED = [0.5, -1.25, 3e-8]
CAT = [1.0, 2.0, 0.1]
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs"]), min_size=1, max_size=8)


def packed(*numbers):
    return struct.pack(f"<{len(numbers)}f", *numbers)


GOOGLE = b"2 3\nred " + packed(*RED) + b"\n\xe7\x8c\xab " + packed(*CAT) + b"\n"
GENSIM = b"2 3\nred " + packed(*RED) + b"\xe7\x8c\xab " + packed(*CAT)
TEXT = "2 3\nred 0.5 -1.25 3e-8\n猫 1 2.0 0.1\n".encode()


def file_of(folder, content):
    path = folder / "vectors.bin"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [GOOGLE, GENSIM, TEXT, TEXT.replace(b"\n", b" \n"), TEXT.replace(b" ", b"\t"), TEXT.replace(b"\n", b"\r\n")],
    ids=["binary of the C tool", "binary of gensim", "text", "trailing spaces", "tabs", "line ends of Windows"],
)
def test_both_formats_are_read_as_they_are_found(tmp_path, content):
    read = read_word2vec(file_of(tmp_path, content))
    assert read.words == ("red", "猫")
    assert read.vectors.dtype == np.float32
    np.testing.assert_array_equal(read.vectors, np.array([RED, CAT], dtype=np.float32))


def test_the_binary_format_is_written_as_the_c_tool_does(tmp_path):
    write_word2vec(WordVectors(("red", "猫"), np.array([RED, CAT], dtype=np.float32)), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == GOOGLE


@pytest.mark.parametrize("binary", [True, False])
@given(data=st.data())
@settings(max_examples=80, deadline=None, derandomize=True)
def test_words_and_numbers_come_back_as_they_were(binary, tmp_path_factory, data):
    words = data.draw(st.lists(WORDS, min_size=1, max_size=6, unique=True))
    size = data.draw(st.integers(1, 5))
    vectors = data.draw(arrays(np.float32, (len(words), size), elements=FLOATS))
    path = tmp_path_factory.getbasetemp() / "round-trip"
    write_word2vec(WordVectors(tuple(words), vectors), path, binary=binary)
    read = read_word2vec(path)
    assert read.words == tuple(words)
    np.testing.assert_array_equal(read.vectors, vectors)


@pytest.mark.parametrize("content", [GOOGLE, GENSIM, TEXT])
def test_only_the_words_that_are_asked_for_are_kept(tmp_path, content):
    read = read_word2vec(file_of(tmp_path, content), words={"猫", "dog"})
    assert read.words == ("猫",)
    np.testing.assert_array_equal(read.vectors, np.array([CAT], dtype=np.float32))


def test_a_vector_that_looks_like_a_newline_or_a_space_is_read(tmp_path):
    odd = struct.unpack("<3f", b"\n 1\n 2 \n    ")
    vectors = WordVectors(("a", "b"), np.array([odd, odd], dtype=np.float32))
    write_word2vec(vectors, tmp_path / "out")
    np.testing.assert_array_equal(read_word2vec(tmp_path / "out").vectors, vectors.vectors)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ", byte 0: the file is empty; expected word vectors; fetch or write it again"),
        (gzip.compress(TEXT, mtime=0), ", byte 0: the file is compressed by gzip; expand it first"),
        (
            TEXT.decode().encode("utf-16"),
            r", line 1: expected two whole numbers.* got b'\\xff\\xfe2.* without byte-ord",
        ),
        (b"\xef\xbb\xbf" + TEXT, r", line 1: expected two whole numbers.*got b'\\xef\\xbb\\xbf2 3'; give a word2vec f"),
        (b"red 0.5 1\n", ", line 1: expected two whole numbers, how many words follow.*got b'red 0.5 1'"),
        (b"-2 3\n" + TEXT, ", line 1: expected two whole numbers"),
        (b"2 3", ", line 1: expected two whole numbers"),
        (b"0 3\n", ", line 1: the header promises 0 words of 3 numbers; expected at least one of each"),
        (b"2 0\nred \ncat \n", ", line 1: the header promises 2 words of 0 numbers; expected at least one of each"),
        (
            b"999999999999 300" + TEXT[3:],
            "promises 999999999999 words of 300 numbers, which take at least 601999999999398 bytes; the file has ",
        ),
        (b"1 999999999999" + TEXT[3:], "promises 1 words of 999999999999 numbers, which take at least 2000000000000 b"),
        (b"3" + GOOGLE[1:], r", byte \d+: expected word 3 of 3, ended by a space within 1000 bytes, got b''; the file"),
        (b"1" + GOOGLE[1:], ", byte 21: expected the end of the file after the 1 words that line 1 promises, got 17 m"),
        (
            GOOGLE[:-4],
            r", byte 21: the file ends in the vector of b'\\xe7\\x8c\\xab', word 2 of 2: expected 12 bytes, ",
        ),
        (GOOGLE + b"x", ", byte 38: expected the end of the file after the 2 words that line 1 promises, got 1 more"),
        (b"1 1\n" + b"a" * 2000, ", byte 4: expected word 1 of 1, ended by a space within 1000 bytes, got b'aaaaaaaaa"),
        (
            GOOGLE.replace(b"red", b"r\xe9d"),
            r", byte 4: expected a word in UTF-8, got b'r\\xe9d'; write the file again",
        ),
        (GOOGLE.replace(b"red", b""), ", byte 4: expected a word without spaces and control characters, got ''; leave"),
        (GOOGLE.replace(b"red", b"r\x00d"), r", byte 4: expected a word without spaces and control.* got 'r\\x00d'"),
        (
            GOOGLE.replace(b"\xe7\x8c\xab", b"red"),
            ", byte 21: the word 'red' is there for the second time; keep on",
        ),
        (
            GOOGLE.replace(packed(0.1), packed(np.nan)),
            ", byte 21: the vector of '猫' holds nan; expected finite float32",
        ),
        (
            GOOGLE.replace(packed(0.1), packed(np.inf)),
            ", byte 21: the vector of '猫' holds inf; expected finite float32",
        ),
        (TEXT.replace(b"0.1", b"nan"), ", line 3: the vector of '猫' holds nan; expected finite float32; leave it out"),
        (
            TEXT.replace(b"0.1", b"1e99"),
            ", line 3: the vector of '猫' holds inf; expected finite float32; leave it out",
        ),
        (TEXT.replace(b"0.1", b"o.1"), ", line 3: expected 3 numbers, but could not convert .*'o.1'; correct the line"),
        (TEXT.replace(b" 0.1", b""), ", line 3: expected a word and 3 numbers, as line 1 says, got 2 after b'"),
        (TEXT.replace(b"0.1", b"1 1"), ", line 3: expected a word and 3 numbers, as line 1 says, got more after b'"),
        (TEXT.replace(b"0.1\n", b"\n"), ", line 3: expected a word and 3 numbers, as line 1 says, got 2 after b'"),
        (TEXT.replace("猫".encode(), b"red"), ", line 3: the word 'red' is there for the second time; keep one"),
        (
            "1 1\n红 1\n".encode("gbk"),
            r", line 2: expected a word in UTF-8, got b'\\xba\\xec'; write the file again in",
        ),
        (TEXT[:-1], r", line 3: the file ends before the end of word 2 of 2; expected a line of a word and 3 numbers"),
        (b"3" + TEXT[1:], ", line 4: the file ends before the end of word 3 of 3; .*got b''; fetch or write it again"),
        (b"1" + TEXT[1:], ", line 3: expected the end of the file after the 1 words that line 1 promises, got 14 more"),
        (TEXT + b"\n", ", line 4: expected the end of the file after the 2 words that line 1 promises, got 1 more b"),
    ],
)
def test_a_file_that_breaks_its_promise_is_refused(tmp_path, content, message):
    path = file_of(tmp_path, content)
    with pytest.raises(DataError, match=message) as raised:
        read_word2vec(path)
    assert str(raised.value).startswith(str(path))


@pytest.mark.parametrize("content", [GOOGLE, GENSIM, TEXT])
def test_a_file_cut_anywhere_is_refused(tmp_path, content):
    # The newline after the last vector of a binary file may be there or not.
    cuts = range(len(content) - (content is GOOGLE))
    for cut in cuts:
        with pytest.raises(DataError):
            read_word2vec(file_of(tmp_path, content[:cut]))


@given(st.binary(max_size=80))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_random_bytes_are_read_or_refused(tmp_path_factory, noise):
    for start in (b"", b"1 1\n", b"2 3\nred "):
        path = file_of(tmp_path_factory.getbasetemp(), start + noise)
        try:
            assert np.isfinite(read_word2vec(path).vectors).all()
        except DataError as error:
            assert str(path) in str(error)  # noqa: PT017 - either way is right


def test_a_header_that_promises_too_much_takes_no_memory(tmp_path):
    path = file_of(tmp_path, b"1000000000 300\n" + b"x" * 1000)
    tracemalloc.start()
    with pytest.raises(DataError, match="the header promises 1000000000 words"):
        read_word2vec(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_no_word_that_was_asked_for_is_told(tmp_path):
    message = "expected some of the words that were asked for, spelt alike, but none is among its 2; choose vectors"
    with pytest.raises(DataError, match=message):
        read_word2vec(file_of(tmp_path, GOOGLE), words={"dog"})


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path}: expected a file of word vectors, found a folder; give the path"):
        read_word2vec(tmp_path)
    with pytest.raises(DataError, match=f"{tmp_path}/none: expected a file of word vectors, found nothing; give the p"):
        read_word2vec(tmp_path / "none")


def test_a_file_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    path = file_of(tmp_path, GOOGLE)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="expected a readable file of word vectors, but Permission denied"):
        read_word2vec(path)


@pytest.mark.parametrize(
    ("words", "vectors", "message"),
    [
        (
            ("a",),
            np.zeros((1, 2)),
            r"expected a row of float32 for each of 1 words, .* got float64 of the shape \(1, 2\)",
        ),
        (("a", "b"), np.zeros((1, 2), np.float32), r"each of 2 words, at least one of each, got float32 of .*\(1, 2\)"),
        ((), np.zeros((0, 2), np.float32), r"each of 0 words, at least one of each, got float32 of the shape \(0, 2\)"),
        (("a",), np.zeros((1, 0), np.float32), r"each of 1 words, at least one of each, got float32 of .*\(1, 0\)"),
        (("a",), np.full((1, 2), np.inf, np.float32), "the vector of 'a' is not finite; leave the word out"),
        (("a", "a"), np.zeros((2, 1), np.float32), "the word 'a' is there twice; keep one of them"),
        (("a b",), np.zeros((1, 1), np.float32), "expected a word without spaces and control characters, got 'a b'"),
        (("",), np.zeros((1, 1), np.float32), "expected a word without spaces and control characters, got ''"),
        (("\ud800",), np.zeros((1, 1), np.float32), r"expected a word that UTF-8 can hold, got '\\ud800'"),
        (
            ("a" * (LONGEST_WORD_BYTES + 1),),
            np.zeros((1, 1), np.float32),
            "expected a word of at most 1000 bytes, got 1001; leave it out",
        ),
    ],
)
def test_vectors_that_no_file_can_hold_are_refused(words, vectors, message):
    with pytest.raises(DataError, match=message):
        WordVectors(words, vectors)
