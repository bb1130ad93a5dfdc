"""A graph reads the texts of an uncased BERT as the package tokenizers does with its ``tokenizer.json``."""

import functools
import unicodedata

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from zoo_text.front import TextFront
from zoo_text.modality import TextModality

from zoo import SpecError, as_utf8
from zoo.testing import FrontContract

LENGTH = 32
# One range of code points per line: Latin to all planes from the third on.
SCRIPTS = (
    *((0x20, 0x7F), (0xA0, 0x250), (0x250, 0x370), (0x370, 0x400), (0x400, 0x530), (0x530, 0x590), (0x590, 0x600)),
    *((0x600, 0x700), (0x700, 0x900), (0x900, 0x980), (0x980, 0xA00), (0xA00, 0xB80), (0xB80, 0xD00), (0xD00, 0xE00)),
    *((0xE00, 0xF00), (0xF00, 0x10A0), (0x10A0, 0x1200), (0x1200, 0x1400), (0x1400, 0x1780), (0x1780, 0x1E00)),
    *((0x1E00, 0x2000), (0x2000, 0x2C00), (0x2C00, 0x3040), (0x3040, 0x3200), (0x3200, 0x4E00), (0x4E00, 0x9FFF)),
    *((0xA000, 0xABFF), (0xAC00, 0xD7A4), (0xF900, 0xFFFE), (0x10000, 0x1F000), (0x1F000, 0x20000), (0x20000, 0x40000)),
    *((0x40000, 0xE0000), (0xE0000, 0xE0200), (0xE0200, 0x110000)),
)


@functools.cache
def a_file(**options):
    """A tokenizer.json that was trained on drawn texts of all scripts."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(**options)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=4000, special_tokens=special, show_progress=False)
    learnt = [text for text in texts(4000, np.random.default_rng(0)) if max(text, default="") < chr(0x30000)]
    tokenizer.train_from_iterator(learnt, trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ends
    )
    return tokenizer.to_str()


def texts(count, generator):
    return [a_text(generator) for _ in range(count)]


def a_text(generator):
    """Words of one script, composed or decomposed, some of them long."""
    low, high = SCRIPTS[generator.integers(len(SCRIPTS))]
    words = ["".join(map(chr, generator.integers(low, high, generator.integers(1, 9)))) for _ in range(4)]
    if generator.random() < 0.1:
        words.append("a" * generator.integers(98, 103))
    text = (" " if generator.random() < 0.8 else "").join(words)
    return unicodedata.normalize(generator.choice(["NFC", "NFD"]), text).rstrip("\0")


def modality_of(file, **options):
    state = {"tokenizer": np.frombuffer(file.encode(), dtype=np.uint8)}
    return TextModality(tokenizer="pretrained", **{"max_length": LENGTH, **options}).with_state(state)


@pytest.fixture(scope="module")
def uncased():
    return modality_of(a_file())


@pytest.fixture(scope="module")
def front(uncased):
    return TextFront(uncased)


class TestFront(FrontContract):
    @pytest.fixture
    def modality(self, uncased):
        return uncased

    @pytest.fixture
    def values(self):
        return ["Red heart, CAFÉ!", "消防车", "", "naïve", "빨간 하트"]

    @pytest.fixture
    def front(self, front):
        return front


def read_by(front, texts):
    made = front({"utf8": torch.from_numpy(as_utf8(texts, 16 * LENGTH))})
    return [ids[mask].tolist() for ids, mask in zip(made["ids"].numpy(), made["mask"].numpy(), strict=True)]


def assert_read_alike(modality, front, texts):
    read = [text for text in texts if len(text.encode(errors="replace")) <= 16 * LENGTH]
    expected = [modality.reader.ids(modality.prompt + text, length=LENGTH) for text in read]
    assert [pair for pair in zip(read, read_by(front, read), expected, strict=True) if pair[1] != pair[2]] == []


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.verify)])
def test_texts_of_thirty_scripts_are_read_alike(count, uncased, front):
    generator = np.random.default_rng(1)
    for _ in range(count // 1_000):
        assert_read_alike(uncased, front, texts(1_000, generator))


def test_flags_of_regions_selectors_and_private_characters_are_read_alike(uncased, front):
    flag = "a🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f b"
    assert_read_alike(
        uncased, front, [flag, "葛\U000e0100 b", "a\U000f0000 \U0010fffd b", "\ue000 c", "x\0y", "a\ud800"]
    )


def test_a_long_text_keeps_its_last_token(uncased, front):
    (ids,) = read_by(front, ["a b c " * LENGTH])
    assert len(ids) == LENGTH
    assert ids[-1] == uncased.reader.whole.token_to_id("[SEP]")
    assert_read_alike(uncased, front, ["a b c " * LENGTH, "a " * 30, "a " * 29])


def test_a_prompt_is_put_before_each_text():
    modality = modality_of(a_file(), prompt="query: É")
    assert_read_alike(modality, TextFront(modality), ["red heart", "", "s"])


def test_a_special_token_that_a_text_spells_out_is_plain_text_in_a_graph(uncased, front):
    separator = uncased.reader.whole.token_to_id("[SEP]")
    assert read_by(front, ["[SEP]"])[0].count(separator) == 1
    assert uncased.reader.ids("[SEP]", length=LENGTH).count(separator) == 2


@pytest.mark.parametrize("options", [{"lowercase": False}, {"strip_accents": False}, {"clean_text": False}])
def test_a_graph_reads_no_texts_of_another_normaliser(options):
    modality = modality_of(a_file(**options))
    assert modality.raw_tensors == {}
    with pytest.raises(SpecError, match="the tokenizer 'pretrained' has no front"):
        TextFront(modality)
