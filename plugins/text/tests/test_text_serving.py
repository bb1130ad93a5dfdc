"""Texts on their way into a graph: the truncated ones are reported, of tokens and of bytes, with and without gaps."""

import numpy as np
import pytest
from zoo_text.modality import TextModality

from zoo import Axis, TensorSpec, UsageError
from zoo.errors import UnknownNameError
from zoo.runtime.session import Session
from zoo.runtime.values import Preparing

WORDS = TextModality(max_length=2).fit(["red heart"])
TEXTS = ["red heart", "red red heart", "red " * 600, None, "heart"]
PRESENT = {"caption.present": TensorSpec("bool", ("batch",), 0, 1)}


def prepared(inputs, texts, *, modality=WORDS, known=WORDS, bytes_read=512):
    axes = {"length": Axis(1, 2, padded=True), "caption.bytes": Axis(1, bytes_read, padded=True)}
    session = Session("encode_caption", inputs, axes, ("encode_caption.embedding",), lambda arrays: arrays)
    return Preparing(session, lambda name: modality, lambda name: known)({"caption": texts})


def tokens(gaps):
    return {f"caption.{name}": spec for name, spec in WORDS.tensors.items()} | (PRESENT if gaps else {})


def raw(gaps):
    return {"caption.utf8": TensorSpec("uint8", ("batch", "caption.bytes"), 0, 255, normal_form="NFKC")} | (
        PRESENT if gaps else {}
    )


@pytest.mark.parametrize("inputs", [tokens, raw])
def test_truncated_texts_are_told_by_their_rows_with_gaps_and_without(inputs):
    assert prepared(inputs(True), TEXTS).truncated == {"caption": [1, 2]}
    whole = [text for text in TEXTS if text is not None]
    assert prepared(inputs(False), whole).truncated == {"caption": [1, 2]}
    assert prepared(inputs(True), [None, None]).truncated == {}


def test_without_the_plugin_a_raw_graph_still_tells_of_bytes():
    assert prepared(raw(True), TEXTS, known=None).truncated == {"caption": [2]}
    long = ["é" * 5, "e\u0301" * 5, "é" * 6]
    assert prepared(raw(False), long, known=None, bytes_read=10).truncated == {"caption": [2]}


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_a_raw_graph_gets_its_texts_in_the_form_that_it_names(form):
    inputs = {"caption.utf8": TensorSpec("uint8", ("batch", "caption.bytes"), 0, 255, normal_form=form)}
    arrays = prepared(inputs, ["ﬁ e\u0301"], known=None).arrays["caption.utf8"]
    assert bytes(arrays[0]).decode() == {"NFC": "ﬁ é", "NFKC": "fi é"}[form]


@pytest.mark.parametrize("lone", ["red heart", np.array("red heart")])
def test_a_lone_text_is_no_list_of_texts(lone):
    with pytest.raises(UsageError, match="texts: expected a list of values, got one "):
        WORDS.to_arrays(lone)
    with pytest.raises(UsageError, match="texts: expected a list of values, got one "):
        WORDS.to_raw_arrays("red heart")
    with pytest.raises(UsageError, match="texts: expected a list of values, got one "):
        TextModality().fit(lone)
    assert TextModality().fit(iter(["red heart"])).token_count == 4


def test_texts_that_no_row_has_need_no_plugin():
    def missing(name):
        raise UnknownNameError("modality", "text", known=(), hint="Install it.")

    axes = {"length": Axis(1, 2, padded=True)}
    session = Session("embed", tokens(True), axes, ("embed.embedding",), lambda arrays: arrays)
    arrays = Preparing(session, missing, missing)({"caption": [None, None]}).arrays
    expected = prepared(tokens(True), [None, None]).arrays
    assert {name: (array.dtype, array.tolist()) for name, array in arrays.items()} == {
        name: (array.dtype, array.tolist()) for name, array in expected.items()
    }
    with pytest.raises(UnknownNameError, match="no modality 'text'"):
        Preparing(session, missing, missing)({"caption": [None, "red"]})


def test_inputs_that_no_row_has_are_as_their_modality_makes_them():
    arrays = prepared(tokens(True), [None, None]).arrays
    assert {name: (array.dtype, array.shape, array.any()) for name, array in arrays.items()} == {
        "caption.ids": (np.int64, (2, 1), False),
        "caption.mask": (np.bool_, (2, 1), False),
        "caption.present": (np.bool_, (2,), False),
    }
