from itertools import product

import pytest
import torch
from torch import nn
from zoo_text.autoregressive import AutoregressiveTokens
from zoo_text.modality import TextModality
from zoo_text.sequence_decoder import RecurrentDecoder

from zoo.testing import DecoderContract, LikelihoodContract

TEXTS = ["fire engine", "red heart with a ribbon", "消防车", ""]
WORDS = TextModality(max_length=6).fit(TEXTS)


def tensors_of(modality, *texts):
    return {name: torch.from_numpy(array) for name, array in modality.to_arrays(texts).items()}


def a_decoder(latent_dim=5, **options):
    torch.manual_seed(0)
    return RecurrentDecoder(WORDS, latent_dim, **{"width": 16, "embedding_width": 8, **options})


def a_likelihood(rows=3, **options):
    latent = torch.randn(rows, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return a_decoder(**options).eval()(latent)


class TestRecurrentDecoder(DecoderContract):
    @pytest.fixture
    def modality(self):
        return WORDS

    @pytest.fixture
    def decoder(self):
        return a_decoder()


class TestAutoregressiveTokens(LikelihoodContract):
    @pytest.fixture
    def likelihood(self):
        return a_likelihood()

    @pytest.fixture
    def targets(self):
        return tensors_of(WORDS, "fire", "", "red heart")


class Script:
    """A model that follows a table: the probability of each id after each id."""

    def __init__(self, table, rows=1):
        self.logits = torch.tensor(table).log()
        self.start = torch.zeros(rows, 1)

    def all_logits(self, previous):
        return self.logits[previous]

    def next_logits(self, previous, state):
        return self.logits[previous], state


def ids_and_mask(*rows):
    ids = torch.tensor(rows)
    return {"ids": ids, "mask": ids > 0}


# After the end or at the start: mostly id 1. After 1: mostly 2. After 2: mostly the end.
TABLE = [[0.1, 0.7, 0.2], [0.2, 0.2, 0.6], [0.8, 0.1, 0.1]]


def test_a_text_is_scored_token_by_token_with_its_end():
    likelihood = AutoregressiveTokens(Script(TABLE, 3), length=3)
    found = likelihood.log_prob(ids_and_mask([1, 2], [1, 0], [0, 0]))
    torch.testing.assert_close(found.exp(), torch.tensor([0.7 * 0.6 * 0.8, 0.7 * 0.2, 0.1]))


def test_a_text_of_the_longest_length_needs_no_end():
    likelihood = AutoregressiveTokens(Script(TABLE), length=2)
    torch.testing.assert_close(likelihood.log_prob(ids_and_mask([1, 2])).exp(), torch.tensor([0.7 * 0.6]))


def test_the_probabilities_of_all_texts_sum_to_one():
    texts = [list(text) + [0] * (3 - n) for n in range(4) for text in product([1, 2], repeat=n)]
    likelihood = AutoregressiveTokens(Script(TABLE, len(texts)), length=3)
    torch.testing.assert_close(likelihood.log_prob(ids_and_mask(*texts)).exp().sum(), torch.tensor(1.0))


def test_what_stands_under_the_mask_is_not_scored():
    likelihood = AutoregressiveTokens(Script(TABLE), length=3)
    hidden = {"ids": torch.tensor([[1, 2, 2]]), "mask": torch.tensor([[True, False, False]])}
    torch.testing.assert_close(likelihood.log_prob(hidden), likelihood.log_prob(ids_and_mask([1])))


def test_the_mode_takes_the_best_token_each_time_and_stops_at_the_end():
    mode = AutoregressiveTokens(Script(TABLE), length=5).mode()
    assert mode["ids"].tolist() == [[1, 2, 0, 0, 0]]
    assert mode["mask"].tolist() == [[True, True, False, False, False]]


def test_a_text_without_an_end_is_as_long_as_may_be():
    endless = AutoregressiveTokens(Script([[0.1, 0.9], [0.2, 0.8]]), length=4)
    assert endless.mode()["ids"].tolist() == [[1, 1, 1, 1]]
    assert endless.mode()["mask"].all()


def test_samples_come_as_often_as_they_are_probable():
    rows = 20_000
    likelihood = AutoregressiveTokens(Script(TABLE, rows), length=2)
    drawn = likelihood.sample(torch.Generator().manual_seed(0))
    assert torch.equal(drawn["mask"], drawn["ids"] > 0)
    for text in ([0, 0], [1, 0], [1, 2], [2, 1]):
        share = (drawn["ids"] == torch.tensor(text)).all(dim=1).double().mean()
        expected = likelihood.log_prob(ids_and_mask(*[text] * rows))[0].exp().double()
        assert abs(share - expected) < 0.015


def test_the_target_is_the_text_itself_cut_or_padded():
    likelihood = AutoregressiveTokens(Script(TABLE, 2), length=3)
    padded = likelihood.target(ids_and_mask([1, 2], [2, 0]))
    assert padded["ids"].tolist() == [[1, 2, 0], [2, 0, 0]]
    cut = likelihood.target(ids_and_mask([1, 2, 1, 1], [2, 0, 0, 0]))
    assert cut["mask"].tolist() == [[True, True, True], [True, False, False]]


def test_step_by_step_and_all_at_once_tell_the_same():
    likelihood = a_likelihood()
    ids = likelihood.mode()["ids"]
    previous = torch.cat([torch.zeros_like(ids[:, :1]), ids[:, :-1]], dim=1)
    state, steps = likelihood.model.start, []
    with torch.no_grad():
        for column in previous.unbind(dim=1):
            logits, state = likelihood.model.next_logits(column, state)
            steps.append(logits)
        torch.testing.assert_close(torch.stack(steps, dim=1), likelihood.model.all_logits(previous))


def test_texts_come_back_from_a_trained_decoder():
    decoder = a_decoder(latent_dim=4, width=32, embedding_width=16)
    optimiser = torch.optim.Adam(decoder.parameters(), lr=0.01)
    for _ in range(80):
        loss = -decoder(torch.eye(4)).log_prob(tensors_of(WORDS, *TEXTS)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        mode = decoder.eval()(torch.eye(4)).mode()
    assert WORDS.from_arrays({name: tensor.numpy() for name, tensor in mode.items()}) == TEXTS


def test_dropped_words_change_what_is_scored_in_training_and_nothing_that_is_written():
    decoder, targets = a_decoder(word_dropout=0.9), tensors_of(WORDS, "red heart with a ribbon")
    nn.init.normal_(decoder.embedding.weight)
    likelihood = decoder.train()(torch.zeros(1, 5))
    scores = {likelihood.log_prob(targets).item() for _ in range(8)}
    assert len(scores) > 1
    written = likelihood.mode()["ids"]
    assert torch.equal(written, decoder.eval()(torch.zeros(1, 5)).mode()["ids"])
    assert likelihood.log_prob(targets) == likelihood.log_prob(targets)


def test_a_dropped_word_is_dropped_whole():
    decoder = a_decoder(word_dropout=0.5)
    seen = decoder.train().word_dropout(torch.ones(40, 6, 8))
    assert set((seen != 0).sum(dim=2).unique().tolist()) == {0, 8}


def test_half_precision_around_a_step_trains_the_weights():
    decoder = a_decoder().train()
    with torch.autocast("cpu", torch.bfloat16):
        likelihood = decoder(torch.zeros(2, 5))
        loss = -likelihood.log_prob(tensors_of(WORDS, "red heart", "")).sum()
        assert likelihood.mode()["ids"].dtype == torch.int64
    loss.backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.dtype == torch.float32 for p in decoder.parameters())
