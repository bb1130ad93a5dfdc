"""The tokenizer ``pretrained``: the ids of a tokenizer.json of any kind, as the package tokenizers gives them."""

import json

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from zoo_text.modality import TextModality
from zoo_text.tokenizer_file import TokenizerFile

from zoo import DataError, SpecError, UsageError
from zoo.testing import ModalityContract

TEXTS = ["A red fire engine", "café, 消防车!", "", "fire " * 30, "un\ud800readable 👩‍🚒"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = ["a red fire engine and a fire extinguisher, a cafe and a firefighter"]


def word_pieces():
    made = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=60, special_tokens=SPECIAL, show_progress=False)
    return _with_template(made, trainer)


def byte_pairs():
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    return _with_template(made, trainer)


def unigram():
    made = tokenizers.Tokenizer(models.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=SPECIAL, unk_token="[UNK]", show_progress=False)
    return _with_template(made, trainer)


def _with_template(made, trainer):
    made.train_from_iterator(WORDS * 10, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.enable_padding(length=50)
    made.enable_truncation(50)
    return made


KINDS = {"WordPiece": word_pieces(), "BPE": byte_pairs(), "Unigram": unigram()}


def modality_of(made, **options):
    state = {"tokenizer": np.frombuffer(made.to_str().encode(), np.uint8)}
    return TextModality(tokenizer="pretrained", **options).with_state(state)


class TestPretrained(ModalityContract):
    @pytest.fixture
    def modality(self):
        return modality_of(KINDS["WordPiece"], max_length=12)

    @pytest.fixture
    def values(self):
        return TEXTS


@pytest.mark.parametrize("kind", KINDS)
def test_the_ids_are_those_of_the_file_with_its_template_and_without_its_padding(kind):
    arrays = modality_of(KINDS[kind], max_length=9).to_arrays(TEXTS[:4])
    alone = tokenizers.Tokenizer.from_str(KINDS[kind].to_str())
    alone.no_padding()
    alone.enable_truncation(9)
    for text, ids, mask in zip(TEXTS, arrays["ids"], arrays["mask"], strict=False):
        assert ids[mask].tolist() == alone.encode(text).ids
    assert arrays["ids"].shape == (4, 9)
    assert not arrays["ids"][~arrays["mask"]].any()


def test_the_state_is_the_file_to_the_byte():
    content = KINDS["BPE"].to_str(pretty=True).encode()
    modality = TextModality(tokenizer="pretrained").with_state({"tokenizer": np.frombuffer(content, np.uint8)})
    assert modality.state()["tokenizer"].tobytes() == content
    assert modality.fit(["other texts"]).state()["tokenizer"].tobytes() == content


def test_a_lone_surrogate_is_read_as_the_replacement_character():
    modality = modality_of(KINDS["BPE"])
    first, second = modality.to_arrays(["un\ud800readable", "un\N{REPLACEMENT CHARACTER}readable"])["ids"]
    assert first.tolist() == second.tolist()


def test_truncated_texts_and_unknown_words_are_told():
    modality = modality_of(KINDS["WordPiece"], max_length=9)
    arrays = modality.to_arrays(["fire", "fire " * 30, "消防车"])
    assert modality.truncated(["fire", "fire " * 30, "消防车"], arrays) == [1]
    unknown, tokens = modality.unknown(arrays)
    assert (unknown, tokens) == (3, int(arrays["mask"].sum()))


def test_unknown_words_of_unigram_are_told():
    modality = modality_of(KINDS["Unigram"])
    assert modality.unknown(modality.to_arrays(["車"]))[0] >= 1


def test_a_text_comes_back_without_special_tokens():
    modality = modality_of(KINDS["WordPiece"])
    assert modality.from_arrays(modality.to_arrays(["A red fire engine"])) == ["a red fire engine"]


def test_a_prompt_is_put_before_each_text():
    with_prompt, plain = (modality_of(KINDS["BPE"], prompt=prompt) for prompt in ("red ", ""))
    found = with_prompt.to_arrays(["fire"])["ids"]
    np.testing.assert_array_equal(found, plain.to_arrays(["red fire"])["ids"])


def test_a_prompt_for_another_tokenizer_is_refused():
    with pytest.raises(SpecError, match="'prompt' works only with the 'tokenizer' pretrained, got prompt 'red '"):
        TextModality(prompt="red ")


def test_no_graph_reads_the_bytes_of_a_text_for_it():
    assert modality_of(KINDS["BPE"]).raw_tensors == {}


def test_a_tokenizer_without_its_file_says_where_it_comes_from():
    with pytest.raises(UsageError, match=r"has no tokenizer.json yet; `zoo import FOLDER` reads one"):
        TextModality(tokenizer="pretrained").to_arrays(["fire"])
    with pytest.raises(UsageError, match=r"has no tokenizer.json yet"):
        TextModality(tokenizer="pretrained").fit(["fire"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "the tokenizer.json of a text modality is not JSON"),
        (json.dumps({"model": {"type": "Syllables"}}), "type WordPiece, BPE, Unigram, WordLevel, got 'Syllables'"),
        (json.dumps([]), "got None"),
    ],
)
def test_a_file_that_is_no_tokenizer_is_refused(content, message):
    with pytest.raises(DataError, match=message):
        TokenizerFile().with_state({"tokenizer": np.frombuffer(content.encode(), np.uint8)})
