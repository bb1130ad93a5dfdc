import pytest
import torch
from zoo_text.decoders import BagOfWordsDecoder
from zoo_text.encoders import BagOfEmbeddings, TransformerEncoder
from zoo_text.likelihoods import BagOfWords
from zoo_text.lstm import LSTMEncoder
from zoo_text.modality import TextModality
from zoo_text.sequence_decoder import RecurrentDecoder

from zoo import SpecError
from zoo.testing import DecoderContract, EncoderContract, LikelihoodContract, number_inputs

WORDS = TextModality(max_length=9).fit(["fire engine", "red heart with a ribbon", "消防车"])
BYTES = TextModality(tokenizer="bytes", max_length=24)


def tensors_of(modality, *texts):
    return {name: torch.from_numpy(array) for name, array in modality.to_arrays(texts).items()}


class TestBagOfEmbeddings(EncoderContract):
    @pytest.fixture
    def modality(self):
        return WORDS

    @pytest.fixture
    def encoder(self, modality):
        torch.manual_seed(0)
        return BagOfEmbeddings(modality, width=16, depth=2, dropout=0.1)


class TestTransformerEncoder(EncoderContract):
    @pytest.fixture
    def modality(self):
        return WORDS

    @pytest.fixture
    def encoder(self, modality):
        torch.manual_seed(0)
        return TransformerEncoder(modality, width=16, depth=2, heads=2, dropout=0.1)


class TestTransformerEncoderOfBytes(EncoderContract):
    @pytest.fixture
    def modality(self):
        return BYTES

    @pytest.fixture
    def encoder(self, modality):
        torch.manual_seed(0)
        return TransformerEncoder(modality, width=16, depth=1, heads=2)


class TestBagOfWordsDecoder(DecoderContract):
    @pytest.fixture
    def modality(self):
        return WORDS

    @pytest.fixture
    def decoder(self, modality):
        torch.manual_seed(0)
        return BagOfWordsDecoder(modality, 5, width=16, depth=2)


class TestBagOfWordsDecoderOfBytes(DecoderContract):
    @pytest.fixture
    def modality(self):
        return BYTES

    @pytest.fixture
    def decoder(self, modality):
        torch.manual_seed(0)
        return BagOfWordsDecoder(modality, 5, depth=0)


class TestBagOfWords(LikelihoodContract):
    @pytest.fixture
    def likelihood(self):
        logits = torch.randn(3, WORDS.token_count - 2, generator=torch.Generator().manual_seed(0))
        return BagOfWords(logits, first_word=2, draws=9)

    @pytest.fixture
    def targets(self):
        return tensors_of(WORDS, "fire", "", "red heart")


def test_the_target_of_a_bag_is_the_share_of_each_word():
    tensors = tensors_of(WORDS, "red heart red dragon", "")
    red, heart = (int(tensors["ids"][0, place]) for place in (0, 1))
    logits = torch.zeros(2, WORDS.token_count - 2)
    share = BagOfWords(logits, first_word=2, draws=9).target(tensors)["word_probability"]
    assert share[0, red].item() == pytest.approx(2 / 3)
    assert share[0, heart].item() == pytest.approx(1 / 3)
    assert share[0].sum().item() == pytest.approx(1)
    assert not share[1].any()


def test_a_bag_is_blind_to_the_order_of_words_and_a_transformer_is_not():
    torch.manual_seed(0)
    tensors = tensors_of(WORDS, "red fire engine", "engine fire red")
    bag = BagOfEmbeddings(WORDS).eval()(tensors)
    ordered = TransformerEncoder(WORDS).eval()(tensors)
    torch.testing.assert_close(bag[0], bag[1])
    assert (ordered[0] - ordered[1]).abs().max() > 1e-4


def test_an_unknown_word_leaves_a_fresh_bag_where_it_was():
    torch.manual_seed(0)
    features = BagOfEmbeddings(WORDS, depth=0).eval()(tensors_of(WORDS, "red heart", "red dragon heart"))
    torch.testing.assert_close(features[0], features[1], atol=0.1, rtol=0.1)


@pytest.mark.parametrize("encoder", [BagOfEmbeddings, TransformerEncoder])
def test_wholly_masked_rows_are_all_the_same(encoder):
    torch.manual_seed(0)
    features = encoder(WORDS).eval()(tensors_of(WORDS, "", "red heart", "?"))
    torch.testing.assert_close(features[0], features[2])


@pytest.mark.parametrize("encoder", [BagOfEmbeddings, TransformerEncoder])
def test_what_stands_under_the_mask_is_not_read(encoder):
    torch.manual_seed(0)
    module = encoder(WORDS).eval()
    tensors = tensors_of(WORDS, "red", "red heart with ribbon")
    other = {**tensors, "ids": torch.where(tensors["mask"], tensors["ids"], 3)}
    torch.testing.assert_close(module(tensors), module(other))


@pytest.mark.parametrize("encoder", [BagOfEmbeddings, TransformerEncoder])
def test_forty_steps_tell_short_texts_apart(encoder):
    torch.manual_seed(0)
    modality = TextModality().fit([f"thing {number}" for number in range(32)])
    tensors = tensors_of(modality, *(f"thing {number}" for number in range(32)))
    model = torch.nn.Sequential(encoder(modality, width=32), torch.nn.Linear(32, 32))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(model(tensors), torch.arange(32))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (model(tensors).argmax(dim=1) == torch.arange(32)).float().mean() > 0.9


def test_the_probabilities_of_all_words_sum_to_one_and_padding_has_none():
    likelihood = BagOfWords(torch.tensor([[0.0, 1.0, 2.0]]), first_word=2, draws=4)
    probability = likelihood.mode()["word_probability"]
    assert probability.shape == (1, 5)
    assert probability[0, :2].tolist() == [0, 0]
    torch.testing.assert_close(probability.sum(), torch.tensor(1.0))


def test_a_bag_scores_each_word_and_neither_padding_nor_the_unknown_word():
    likelihood = BagOfWords(torch.tensor([[1.0, 3.0]]).log().expand(4, 2), first_word=2, draws=4)
    ids = torch.tensor([[3, 2, 0], [3, 1, 0], [3, 3, 3], [1, 0, 0]])
    mask = torch.tensor([[True, True, False], [True, True, False], [True, False, False], [True, False, False]])
    expected = torch.tensor([0.75 * 0.25, 0.75, 0.75, 1.0]).log()
    torch.testing.assert_close(likelihood.log_prob({"ids": ids, "mask": mask}), expected)


def test_a_sampled_bag_holds_as_many_words_as_were_drawn():
    likelihood = BagOfWords(torch.zeros(3, 4), first_word=2, draws=10)
    shares = likelihood.sample(torch.Generator().manual_seed(0))["word_probability"]
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(3))
    torch.testing.assert_close((shares * 10).round(), shares * 10)


def test_words_come_back_from_a_trained_decoder():
    torch.manual_seed(0)
    texts = ["fire engine", "red heart"]
    decoder = BagOfWordsDecoder(WORDS, 2, width=16)
    optimiser = torch.optim.Adam(decoder.parameters(), lr=0.05)
    for _ in range(60):
        loss = -decoder(torch.eye(2)).log_prob(tensors_of(WORDS, *texts)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    mode = {name: tensor.detach().numpy() for name, tensor in decoder(torch.eye(2)).mode().items()}
    assert [set(text.split()) for text in WORDS.from_arrays(mode)] == [set(text.split()) for text in texts]


OTHER_KIND = number_inputs("row")["row"].modality


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BagOfEmbeddings(OTHER_KIND), "the encoder 'bag-of-embeddings' works on the modality 'text', got Num"),
        (lambda: TransformerEncoder(OTHER_KIND), "the encoder 'transformer' works on the modality 'text', got Numbers"),
        (lambda: LSTMEncoder(OTHER_KIND), "the encoder 'lstm' works on the modality 'text', got Numbers; choose"),
        (lambda: BagOfWordsDecoder(OTHER_KIND, 2), "the decoder 'bag-of-words' works on the modality 'text', got Num"),
        (lambda: RecurrentDecoder(OTHER_KIND, 2), "the decoder 'recurrent' works on the modality 'text', got Numbers"),
        (lambda: TransformerEncoder(WORDS, width=10, heads=4), "'width' is a multiple of 'heads', got width 10 and h"),
        (
            lambda: BagOfWordsDecoder(TextModality().fit([""]), 2),
            "a bag-of-words decoder needs a word to decode to; fit the text modality on some text first",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()
