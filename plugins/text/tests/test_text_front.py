"""What reads UTF-8 inside a graph makes of every text what the tokenizer makes of it."""

import unicodedata

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from zoo_datasets.openmoji import OpenMoji
from zoo_onnx.exporter import OnnxExporter
from zoo_text.encoders import BagOfEmbeddings
from zoo_text.front import TextFront
from zoo_text.front_hashing import PairTable, WordTable
from zoo_text.hard_texts import PHRASES, hard_text
from zoo_text.modality import TextModality

from zoo import DataError, SpecError, TakesRaw, TensorSpec, UsageError, as_utf8, encode_graph
from zoo.errors import ParityError
from zoo.exporting.judging import judge, make_cases
from zoo.models.fronts import raw_graphs
from zoo.testing import FrontContract

LENGTH = 16
END = 0x40000
TEXTS = ["red heart", "消防车 don't", "CAFÉ, ﬁre", ""]


@pytest.mark.parametrize("tokenizer", ["words", "wordpiece", "bpe", "bytes"])
class TestFronts(FrontContract):
    @pytest.fixture
    def modality(self, tokenizer):
        return TextModality(tokenizer=tokenizer, max_length=24, vocabulary_size=300).fit(TEXTS)

    @pytest.fixture
    def values(self):
        return TEXTS

    @pytest.fixture
    def front(self, modality):
        return TextFront(modality)


def captions(*languages):
    data = OpenMoji(languages=languages, size=8)
    return [sample.inputs["caption"] for split in ("train", "validation", "test") for sample in data.split(split)]


@pytest.fixture(scope="module")
def words():
    """A vocabulary of two languages, and what a reader of all scripts may have learnt besides."""
    texts = [*captions("en", "zh"), "straße ΣΊΣΥΦΟΣ हिन्दी ﷺ ㌖ x² ǆ ĳ İstanbul 하트 ハート ½ kg"]
    return TextModality(max_length=LENGTH, vocabulary_size=1500).fit([*texts, *texts[-1:] * 9])


@pytest.fixture(scope="module")
def front(words):
    return TextFront(words)


def in_domain(text):
    """Whether the NFKC of a text is that of its characters one by one."""
    single = [unicodedata.normalize("NFKC", character) for character in text]
    return unicodedata.normalize("NFKC", text) == "".join(single)


def assert_read_alike(modality, front, texts):
    """Compare the ids and the mask of some texts with those of the tokenizer, a batch at a time."""
    for first in range(0, len(texts), 256):
        batch = texts[first : first + 256]
        found = front({"utf8": torch.from_numpy(modality.to_raw_arrays(batch)["utf8"])})
        for name, expected in modality.to_arrays(batch).items():
            length = expected.shape[1]
            wrong = (found[name][:, :length].numpy() != expected).any(1) | found[name][:, length:].numpy().any(1)
            assert not wrong.any(), [batch[row] for row in np.flatnonzero(wrong)]


def test_every_caption_is_read_as_the_tokenizer_reads_it(words, front):
    assert_read_alike(words, front, captions("en", "zh"))


@pytest.mark.verify
def test_captions_of_other_languages_are_read_alike(words, front):
    others = captions("ar", "de", "es", "fa", "fr", "it", "ja", "ko", "pt", "ru", "tr")
    assert_read_alike(words, front, others)


def test_texts_that_are_hard_to_read_are_read_alike(words, front):
    generator = np.random.default_rng(0)
    known = [words.reader.text([token]) for token in range(2, words.token_count)]
    assert all(in_domain(phrase) for phrase in PHRASES)
    assert_read_alike(words, front, [*PHRASES, *(hard_text(known, generator) for _ in range(2000))])


LETTERS = st.one_of(st.characters(), st.characters(max_codepoint=0x7F), st.sampled_from("aé消 한ﬁ½-_.\u0301\u3000"))
ANY = st.one_of(
    st.text(LETTERS, max_size=40),
    st.lists(st.sampled_from(["red", "HEART", "消防车", "straße", "ﷺ", "㌖", "x²", "\u0301", "🚒", "!"])).map("".join),
    st.lists(st.sampled_from(["a", "red", "消", "-"]), min_size=200, max_size=400).map("".join),
)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(ANY, min_size=1, max_size=32))
def test_any_text_is_read_alike(words, front, texts):
    assert_read_alike(words, front, texts)


def test_each_character_is_read_alike_alone_and_within_words(words, front):
    some = [chr(point) for point in [*range(0x3400), *range(0x3400, 0x110000, 97), *range(0xF900, 0x10000)]]
    assert_read_alike(words, front, some)
    assert_read_alike(words, front, [f"red{one}heart 消{one}" for one in some])


@pytest.mark.verify
def test_every_character_is_read_alike(words, front):
    every = [chr(point) for point in range(0x110000)]
    assert_read_alike(words, front, every)
    assert_read_alike(words, front, [f"red{one}heart 消{one}" for one in every[:END]])


def test_a_long_stretch_without_a_space_is_cut_where_the_tokenizer_cuts_it(words, front):
    assert_read_alike(words, front, ["-" * 254 + "red-heart", "-" * 255 + "red", "-" * 256 + "red", "x" * 256 + "red"])


FORMS = ("NFC", "NFD", "NFKC", "NFKD")
WRITTEN_IN_SEVERAL_WAYS = [
    "Señor's CAFÉ ǖ ṩ ự Ångström",
    "빨간 하트",
    "ﾊﾞｰｽﾃﾞｰ ガギグ",
    "ㄱㅏ ﾡￂ",
    "ﬁ\u0301re ①\u0302 ｅ\u0301",  # noqa: RUF001
    "a\u0323\u0307 a\u0307\u0323",
    "👩\u200d🚒 ❤\ufe0f 1\ufe0f\u20e3 🇨🇳 e\u0301 \U0001f44d\U0001f3fd",
    "क\u093c \u0958 שּׁ ลำ \u0e25\u0e4d\u0e32",
    "\u212b \u2126 \uf900",
    "lone \ud83d, \ude92 and \ud83d\ude92",
]


@pytest.mark.parametrize("tokenizer", ["words", "wordpiece", "bpe", "bytes"])
@pytest.mark.parametrize("text", WRITTEN_IN_SEVERAL_WAYS)
def test_a_text_is_the_same_to_tokenizer_and_graph_in_whichever_form_it_is_written(tokenizer, text):
    every = [unicodedata.normalize(form, one) for one in WRITTEN_IN_SEVERAL_WAYS for form in FORMS]
    modality = TextModality(tokenizer=tokenizer, max_length=200, vocabulary_size=400).fit(every)
    same = FORMS if modality.raw_tensors["utf8"].normal_form == "NFKC" else FORMS[:2]
    written = [text, *(unicodedata.normalize(form, text) for form in same)]
    assert_read_alike(modality, TextFront(modality), written)
    ids = modality.to_arrays(written)["ids"]
    assert (ids == ids[0]).all()


def test_byte_pairs_tell_ligatures_apart_and_words_do_not(words, pairs):
    assert np.ptp(words.to_arrays(["ﬁre", "fire"])["ids"], axis=0).tolist() == [0]
    first, second = pairs.from_arrays(pairs.to_arrays(["ﬁre", "fire"]))
    assert (first, second) == ("ﬁre", "fire")


def test_zeros_after_a_text_change_nothing(words, front):
    utf8 = torch.from_numpy(words.to_raw_arrays(["red heart", "消防车", ""])["utf8"])
    longer = torch.nn.functional.pad(utf8, (0, 7))
    for name, tensor in front({"utf8": utf8}).items():
        assert torch.equal(tensor, front({"utf8": longer})[name])


@pytest.mark.parametrize("broken", [b"\xe6\xb6", b"\xe6\xb6x", b"\xc0\xaf", b"\xed\xa0\xbd", b"\xf5red", b"\xffred"])
def test_what_is_no_utf8_is_part_of_no_word(words, front, broken):
    found = front({"utf8": torch.tensor([list(b"red" + broken + b" heart")], dtype=torch.uint8)})
    read = words.to_arrays([(b"red" + broken + b" heart").decode(errors="replace")])["ids"]
    assert found["ids"][0, : read.shape[1]].tolist() == read[0].tolist()


def test_a_vocabulary_without_words_knows_none():
    modality = TextModality(max_length=2).fit([])
    assert_read_alike(modality, TextFront(modality), ["", "red", "red heart, 消"])


def test_words_that_share_most_letters_are_told_apart():
    ids = {word: token for token, word in enumerate(["ab", "ba", "a", "b", "aab", "bb"], start=2)}
    table = WordTable(ids, {"a": 1, "b": 2})
    spelt = torch.tensor([[1, 2, 2, 1, 1, 2, 1, 1, 2, 2, 2, 3]])
    word = torch.tensor([[0, 0, 1, 1, 2, 3, 4, 4, 4, 5, 5, 6]])
    offset = torch.tensor([[0, 1, 0, 1, 0, 0, 0, 1, 2, 0, 1, 0]])
    assert table(spelt, word, offset, torch.zeros(1, 7, dtype=torch.int64)).tolist() == [[2, 3, 4, 5, 6, 7, 0]]


MOST_BYTES = 12


def does_not_end_in_zeros(text):
    """Zeros at the end of what is read are padding."""
    return not text or as_utf8([text], MOST_BYTES)[0, -1] > 0


@settings(derandomize=True, deadline=None)
@given(st.lists(st.text(LETTERS, max_size=24).filter(does_not_end_in_zeros), min_size=1))
def test_bytes_are_read_alike_wherever_they_are_cut(texts):
    modality = TextModality(tokenizer="bytes", max_length=MOST_BYTES)
    assert_read_alike(modality, TextFront(modality), texts)


@pytest.fixture(scope="module")
def pieces():
    """Few pieces, so that most words are cut, many of them where a longer piece was begun and does not go on."""
    texts = [*captions("en", "zh")[::2], "straße ΣΊΣΥΦΟΣ हिन्दी ﷺ ㌖ x² ǆ ĳ İstanbul 하트 ハート ½ kg"]
    return TextModality(tokenizer="wordpiece", max_length=LENGTH, vocabulary_size=700).fit([*texts, *texts[-1:] * 9])


@pytest.fixture(scope="module")
def pieces_front(pieces):
    return TextFront(pieces)


def test_pieces_of_captions_and_of_hard_texts_are_read_alike(pieces, pieces_front):
    generator = np.random.default_rng(0)
    known = [pieces.reader.text([token]) for token in range(2, pieces.token_count)]
    assert_read_alike(pieces, pieces_front, captions("en", "zh"))
    assert_read_alike(pieces, pieces_front, [*PHRASES, *(hard_text(known, generator) for _ in range(1000))])


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(ANY, min_size=1, max_size=32))
def test_pieces_of_any_text_are_read_alike(pieces, pieces_front, texts):
    assert_read_alike(pieces, pieces_front, texts)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.text("abc", max_size=70), min_size=1, max_size=32))
def test_words_of_few_letters_are_cut_alike(texts):
    modality = TextModality(tokenizer="wordpiece", max_length=9, vocabulary_size=30)
    modality = modality.fit(["abcab abcabc bca ab cab ccca aaaa b"] * 2)
    assert_read_alike(modality, TextFront(modality), texts)


def test_a_word_of_sixty_four_letters_is_cut_and_a_longer_one_is_unknown(pieces, pieces_front):
    assert pieces.reader.ids("e" * 65, length=LENGTH) == [1]
    assert_read_alike(pieces, pieces_front, ["e" * 64, "e" * 65 + " red", "red " + "e" * 63])


@pytest.fixture(scope="module")
def pairs():
    texts = [
        "don't won't we're they'll I've 've he'd",
        "消防车 消防车",
        "a  b\n\nc  1's 2's ''s",
        *captions("en")[:300],
    ]
    return TextModality(tokenizer="bpe", max_length=LENGTH, vocabulary_size=600).fit(texts * 2)


@pytest.fixture(scope="module")
def pairs_front(pairs):
    return TextFront(pairs)


def readable(text):
    """The part of a text that is read of byte pairs: zeros at its end are padding."""
    return text[:60].rstrip("\0")


PARTS = st.lists(st.sampled_from([*"ab1'strevldm \n\t,.é消½\u0301\u3000\x1c\x85", "'re", "red", " heart", "消防车"]))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.one_of(PARTS.map("".join), st.text(LETTERS)).map(readable), min_size=1, max_size=32))
def test_byte_pairs_are_read_alike(pairs, pairs_front, texts):
    assert_read_alike(pairs, pairs_front, texts)


def test_byte_pairs_of_captions_and_of_hard_texts_are_read_alike(pairs, pairs_front):
    generator = np.random.default_rng(0)
    hard = [*PHRASES, *(hard_text(["red", "heart"], generator) for _ in range(300))]
    assert_read_alike(pairs, pairs_front, [text for text in hard if len(text.encode(errors="replace")) <= 16 * LENGTH])
    assert_read_alike(pairs, pairs_front, captions("en", "zh")[::3])


@pytest.mark.verify
def test_texts_are_parted_at_every_character_as_the_tokenizer_parts_them(pairs, pairs_front):
    known = [chr(point) for point in range(END) if unicodedata.category(chr(point)) not in ("Cn", "Cs")]
    assert_read_alike(pairs, pairs_front, [f"a{one} b{one}{one}1{one}'s" for one in known])


@pytest.mark.parametrize(("count", "below"), [(0, (3, 3)), (1, (1, 1)), (2_000, (50, 4_000)), (9_000, (2**18, 2**10))])
def test_pairs_are_told_apart_and_unknown_ones_have_no_value(count, below):
    generator = np.random.default_rng(0)
    drawn = np.stack([generator.integers(0, size, count) for size in below], axis=1).tolist()
    known = {(left, right): value for value, (left, right) in enumerate(drawn, start=1)}
    table = PairTable([*known], [*known.values()], below=below)
    others = [(int(generator.integers(below[0])), int(generator.integers(below[1]))) for _ in range(2_000)]
    asked = [*known, *others, (below[0] - 1, below[1] - 1)]
    left, right = torch.tensor(asked).T
    assert table(left, right).tolist() == [known.get(pair, 0) for pair in asked]
    assert max(table.left * (below[0] - 1) + below[1], table.right * (below[1] - 1) + below[0]) <= 2**24


def test_pairs_of_too_large_numbers_are_refused():
    with pytest.raises(
        SpecError, match="a vocabulary of 16777216 pieces is too large for a graph; lower vocabulary_size"
    ):
        PairTable([(1, 1)], [1], below=(2**24, 2))


@pytest.mark.parametrize("tokenizer", ["words", "wordpiece", "bpe"])
def test_a_front_needs_what_fit_learns(tokenizer):
    with pytest.raises(UsageError, match="this text modality has not learnt its"):
        TextFront(TextModality(tokenizer=tokenizer))


def test_raw_values_are_as_declared_and_come_back(words):
    assert isinstance(words, TakesRaw)
    arrays = words.to_raw_arrays(["red 消防车", "a\ud83d"])
    assert arrays["utf8"].dtype == words.raw_tensors["utf8"].dtype
    assert words.from_raw_arrays(arrays) == ["red 消防车", "a\N{REPLACEMENT CHARACTER}"]
    assert words.to_raw_arrays(["x" * 10_000])["utf8"].shape[1] == words.raw_axes["bytes"].largest == 256 * LENGTH
    with pytest.raises(DataError, match=r"value 1 is 5, of type int; expected text \(a str\)"):
        words.to_raw_arrays(["red", 5])


@pytest.mark.parametrize("size", [1, 2, 3, 100, 4096])
def test_raw_examples_fill_their_axis_and_follow_from_their_generator(words, size):
    first, again = (words.raw_example(3, {"bytes": size}, generator=np.random.default_rng(3)) for _ in range(2))
    assert first["utf8"].shape == (3, size)
    assert first["utf8"][0].all()
    np.testing.assert_array_equal(first["utf8"], again["utf8"])
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(words.from_raw_arrays(first))


class Named(torch.nn.Module):
    def forward(self, features):
        return {"features": features}


def raw_of(modality, front):
    """The graph of a small encoder, from UTF-8 on."""
    torch.manual_seed(0)
    encoder = BagOfEmbeddings(modality, width=8)
    graph = encode_graph("caption", modality, encoder, Named(), {"features": TensorSpec("float32", ("batch", 8))})
    (raw,) = raw_graphs([graph], {"caption": modality}, lambda name: front)
    return raw


@pytest.mark.parametrize("kind", ["words", "pieces", "pairs"])
def test_an_exported_front_agrees_with_the_tokenizer_and_float64(kind, request, tmp_path):
    modality = request.getfixturevalue(kind)
    raw = raw_of(modality, request.getfixturevalue({"words": "front"}.get(kind, f"{kind}_front")))
    OnnxExporter().write(raw, tmp_path / "raw.onnx")
    runners = [OnnxExporter().open(raw, tmp_path / "raw.onnx") for _ in range(2)]
    assert judge(raw, make_cases(raw), *runners).worst.used <= 1
    texts = ["red heart", "消防车", ""]
    found = runners[0](raw_arrays(modality, texts))["encode_caption.features"]
    read = {f"caption.{name}": torch.from_numpy(array) for name, array in modality.to_arrays(texts).items()}
    expected = raw.reference.module(read)["encode_caption.features"].detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def raw_arrays(modality, texts):
    return {f"caption.{name}": array for name, array in modality.to_raw_arrays(texts).items()}


def test_a_front_that_reads_otherwise_misses_parity(words, front):
    raw = raw_of(words, front)
    cases = make_cases(raw)

    def of_ascii(arrays):
        return run(raw, {"caption.utf8": arrays["caption.utf8"] & 0x7F})

    def right(arrays):
        return run(raw, arrays)

    judge(raw, cases, right, right)
    with pytest.raises(ParityError, match=r"encode_caption\.raw, case '.*', output 'encode_caption.features', row"):
        judge(raw, cases, of_ascii, of_ascii)


@torch.no_grad()
def run(graph, arrays):
    found = graph.module({name: torch.from_numpy(array) for name, array in arrays.items()})
    return {name: tensor.numpy() for name, tensor in found.items()}
