import numpy as np
import onnx
import pytest
import torch
from torch import nn
from zoo_onnx.exporter import OnnxExporter
from zoo_text.lstm import LSTMEncoder
from zoo_text.modality import TextModality
from zoo_text.packed_lstm import PackedLSTM

from zoo import TensorSpec, encode_graph
from zoo.testing import EncoderContract

WORDS = TextModality(max_length=9).fit(["fire engine", "red heart with a ribbon", "消防车"])
BYTES = TextModality(tokenizer="bytes", max_length=24)


def tensors_of(modality, *texts):
    return {name: torch.from_numpy(array) for name, array in modality.to_arrays(texts).items()}


def an_encoder(modality=WORDS, **options):
    torch.manual_seed(0)
    return LSTMEncoder(modality, **{"width": 8, "embedding_width": 6, **options})


class TestLSTMEncoder(EncoderContract):
    @pytest.fixture
    def modality(self):
        return WORDS

    @pytest.fixture
    def encoder(self):
        return an_encoder(bidirectional=True, depth=2, hidden=(12, 5), dropout=0.1)


class TestLSTMEncoderOfTheMean(EncoderContract):
    @pytest.fixture
    def modality(self):
        return BYTES

    @pytest.fixture
    def encoder(self, modality):
        return an_encoder(modality, pooling="mean")


@pytest.mark.parametrize("bidirectional", [False, True])
def test_states_are_those_of_each_row_alone_and_zero_after_its_end(bidirectional):
    torch.manual_seed(0)
    layer = PackedLSTM(3, 4, bidirectional=bidirectional)
    sequence, lengths = torch.randn(3, 5, 3), torch.tensor([2, 5, 1])
    states = layer(sequence, lengths)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(states[row, :length], layer.lstm(sequence[row, :length])[0])
        assert not states[row, length:].any()


def test_the_operator_computes_what_is_trained():
    torch.manual_seed(0)
    layer = PackedLSTM(3, 4, bidirectional=True).double()
    sequence, lengths = torch.randn(3, 5, 3, dtype=torch.float64), torch.tensor([2, 5, 1])
    with torch.no_grad():
        exported = torch.ops.zoo_text.packed_lstm(sequence, lengths, list(layer.parameters()), 4, True)
    torch.testing.assert_close(exported, layer(sequence, lengths), atol=0, rtol=0)


def test_the_operator_tells_tracing_the_shapes_that_it_makes():
    layer = PackedLSTM(3, 4, bidirectional=True)
    given = (torch.randn(3, 5, 3), torch.tensor([2, 5, 1]), [p.detach() for p in layer.parameters()], 4, True)
    checked = torch.library.opcheck(
        torch.ops.zoo_text.packed_lstm.default, given, test_utils=("test_schema", "test_faketensor")
    )
    assert set(checked.values()) == {"SUCCESS"}


def test_the_last_state_of_the_backward_direction_is_at_the_first_word():
    encoder, tensors = an_encoder(bidirectional=True), tensors_of(WORDS, "red heart", "red heart with a ribbon")
    features = encoder(tensors)
    for row, length in enumerate(tensors["mask"].sum(dim=1)):
        words = encoder.embedding(tensors["ids"][row, :length])
        _, (last, _) = encoder.layers[0].lstm(words)
        torch.testing.assert_close(features[row], last.flatten())


def test_the_mean_is_over_the_words():
    encoder, tensors = an_encoder(pooling="mean"), tensors_of(WORDS, "red heart", "red heart with a ribbon")
    states, _ = encoder.layers[0].lstm(encoder.embedding(tensors["ids"][0, :2]))
    torch.testing.assert_close(encoder(tensors)[0], states.mean(dim=0))


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_text_without_words_stands_at_zero_among_others(pooling):
    features = an_encoder(pooling=pooling, bidirectional=True)(tensors_of(WORDS, "", "red heart"))
    assert not features[0].any()
    assert features[1].all()


def test_what_stands_under_the_mask_is_not_read():
    encoder, tensors = an_encoder(bidirectional=True, depth=2), tensors_of(WORDS, "red", "red heart with ribbon")
    other = {**tensors, "ids": torch.where(tensors["mask"], tensors["ids"], 3)}
    torch.testing.assert_close(encoder(tensors), encoder(other), atol=0, rtol=0)


def test_the_order_of_words_is_heard():
    features = an_encoder()(tensors_of(WORDS, "red fire engine", "engine fire red"))
    assert (features[0] - features[1]).abs().max() > 1e-4


def test_half_precision_around_a_step_trains_the_weights():
    encoder = an_encoder(bidirectional=True, depth=2, hidden=(4,)).train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = encoder(tensors_of(WORDS, "red heart", "")).square().sum()
    loss.backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.dtype == torch.float32 for p in encoder.parameters())


def test_dropout_is_for_training_alone():
    encoder, tensors = an_encoder(dropout=0.5), tensors_of(WORDS, "red heart")
    assert not torch.equal(encoder.train()(tensors), encoder(tensors))
    torch.testing.assert_close(encoder.eval()(tensors), encoder(tensors), atol=0, rtol=0)


def test_forty_steps_tell_short_texts_apart():
    modality = TextModality().fit([f"thing {number}" for number in range(32)])
    tensors = tensors_of(modality, *(f"thing {number}" for number in range(32)))
    model = nn.Sequential(an_encoder(modality, width=32, embedding_width=32), nn.Linear(32, 32))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        loss = nn.functional.cross_entropy(model(tensors), torch.arange(32))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (model(tensors).argmax(dim=1) == torch.arange(32)).float().mean() > 0.9


class Features(nn.Module):
    def forward(self, features):
        return {"features": features}


def test_the_file_holds_one_lstm_a_layer_with_the_length_of_each_row(tmp_path):
    encoder = an_encoder(depth=2).eval()
    outputs = {"features": TensorSpec("float32", ("batch", encoder.feature_dim))}
    graph = encode_graph("caption", WORDS, encoder, Features(), outputs)
    OnnxExporter().write(graph, tmp_path / "graph.onnx")
    nodes = [node for node in onnx.load(tmp_path / "graph.onnx").graph.node if node.op_type == "LSTM"]
    assert len(nodes) == 2
    assert all(node.input[4] for node in nodes)
    texts = ["", "red heart", "red heart with a ribbon"]
    arrays = {f"caption.{name}": array for name, array in WORDS.to_arrays(texts).items()}
    found = OnnxExporter().open(graph, tmp_path / "graph.onnx")(arrays)["encode_caption.features"]
    assert not found[0].any()
    with torch.no_grad():
        np.testing.assert_allclose(found, encoder(tensors_of(WORDS, *texts)).numpy(), atol=1e-6)
