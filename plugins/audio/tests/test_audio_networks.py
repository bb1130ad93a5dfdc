import copy
from typing import ClassVar

import numpy as np
import pytest
import torch
from zoo_audio.decoder import MelDecoder
from zoo_audio.encoders import ConvolutionalEncoder, MelConvolutionalEncoder
from zoo_audio.likelihoods import GaussianNoise, LaplaceNoise, MelFrames
from zoo_audio.masking import MaskedGroupNorm, groups_of
from zoo_audio.modality import AudioModality
from zoo_audio.spectrogram import SILENCE, LogMel
from zoo_audio.transformer import TransformerEncoder
from zoo_onnx.exporter import OnnxExporter

from zoo import SpecError, TensorSpec, encode_graph
from zoo.testing import DecoderContract, EncoderContract, LikelihoodContract, number_inputs

SHORT = AudioModality(sample_rate_hz=4000, seconds=0.4, mel_bands=12)


class TestConvolutionalEncoder(EncoderContract):
    @pytest.fixture
    def modality(self):
        return SHORT

    @pytest.fixture
    def encoder(self, modality):
        torch.manual_seed(0)
        return ConvolutionalEncoder(modality, channels=(8, 12), strides=(8, 4))


class TestMelConvolutionalEncoder(EncoderContract):
    @pytest.fixture
    def modality(self):
        return SHORT

    @pytest.fixture
    def encoder(self, modality):
        torch.manual_seed(0)
        return MelConvolutionalEncoder(modality, channels=(8, 12))


class TestTransformerEncoder(EncoderContract):
    @pytest.fixture
    def modality(self):
        return SHORT

    @pytest.fixture
    def encoder(self, modality):
        torch.manual_seed(0)
        return TransformerEncoder(modality, width=16, depth=2, heads=2, dropout=0.1)


class TestMelDecoder(DecoderContract):
    @pytest.fixture
    def modality(self):
        return SHORT

    @pytest.fixture
    def decoder(self, modality):
        torch.manual_seed(0)
        return MelDecoder(modality, 4, channels=(12, 8))


class TestLaplaceMelDecoder(DecoderContract):
    contract_exceptions: ClassVar = {"test_it_exports_with_parity": "the mode is that of the Gaussian decoder above"}

    @pytest.fixture
    def modality(self):
        return SHORT

    @pytest.fixture
    def decoder(self, modality):
        torch.manual_seed(0)
        return MelDecoder(modality, 4, channels=(8,), likelihood="laplace", scale=0.5)


class TestMelFrames(LikelihoodContract):
    @pytest.fixture(params=[GaussianNoise, LaplaceNoise])
    def likelihood(self, request):
        return frames(3, noise=request.param())

    @pytest.fixture
    def targets(self):
        return tensors_of(sound(0.4), sound(0.1), sound(0.001))


def sound(seconds, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * 4000)).astype(np.float32)


def tensors_of(*values):
    return {name: torch.from_numpy(array) for name, array in SHORT.to_arrays(values).items()}


def frames(rows, *, noise=None, scale=1.5, lasting=None):
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(rows, 12, 40, generator=generator) - 10
    logits = torch.randn(rows, 40, generator=generator) if lasting is None else lasting
    return MelFrames(centre, logits, torch.tensor(scale), noise or GaussianNoise(), LogMel(SHORT).nats)


class Named(torch.nn.Module):
    def forward(self, features):
        return {"features": features}


ENCODERS = {
    "convolutional": lambda: ConvolutionalEncoder(SHORT, channels=(8, 12), strides=(8, 4)),
    "mel-convolutional": lambda: MelConvolutionalEncoder(SHORT, channels=(8, 12)),
    "transformer": lambda: TransformerEncoder(SHORT, width=16, depth=1, heads=2),
}


@pytest.fixture(params=ENCODERS)
def encoder(request):
    torch.manual_seed(0)
    return ENCODERS[request.param]().eval()


@pytest.mark.parametrize("seconds", [0.00025, 0.0005, 0.0101, 0.123, 0.3])
def test_padding_by_many_frames_changes_nothing(encoder, seconds):
    alone, among = tensors_of(sound(seconds)), tensors_of(sound(seconds), sound(0.4, seed=1))
    torch.testing.assert_close(encoder(alone)[0], encoder(among)[0], atol=1e-5, rtol=1e-5)


def test_what_stands_under_the_mask_is_not_read(encoder):
    tensors = tensors_of(sound(0.1), sound(0.4))
    other = {**tensors, "waveform": torch.where(tensors["mask"], tensors["waveform"], torch.nan)}
    torch.testing.assert_close(encoder(tensors), encoder(other), atol=0, rtol=0)


def test_silence_has_features_and_they_differ_from_those_of_a_sound(encoder):
    features = encoder(tensors_of(np.zeros(1600, np.float32), sound(0.4)))
    assert torch.isfinite(features).all()
    assert (features[0] - features[1]).abs().max() > 0.01


def test_two_sounds_of_one_length_are_told_apart_after_a_few_steps(encoder):
    tones = [
        np.sin(2 * np.pi * hertz * np.arange(800) / 4000).astype(np.float32) / 2 for hertz in (200, 400, 800, 1600)
    ]
    tensors = tensors_of(*tones)
    model = torch.nn.Sequential(encoder.train(), torch.nn.Linear(encoder.feature_dim, 4))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(tensors), torch.arange(4))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert model(tensors).argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_masked_group_normalisation_is_that_of_the_valid_frames_alone():
    hidden = torch.randn(2, 6, 5, 9, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(9) < torch.tensor([[9], [4]])
    norm = MaskedGroupNorm(6)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    found = norm(hidden, mask)
    for row, valid in ((0, 9), (1, 4)):
        cut = hidden[row : row + 1, ..., :valid]
        expected = torch.nn.functional.group_norm(cut, norm.groups, norm.weight, norm.bias)
        torch.testing.assert_close(found[row : row + 1, ..., :valid], expected)


@pytest.mark.parametrize(
    ("channels", "groups"), [(1, 1), (6, 1), (8, 2), (9, 1), (12, 2), (16, 4), (20, 4), (48, 8), (128, 8)]
)
def test_a_group_holds_at_least_four_channels_where_there_are_as_many(channels, groups):
    assert groups_of(channels) == groups


def test_mixed_precision_normalises_in_full_precision():
    hidden = torch.randn(2, 8, 50, generator=torch.Generator().manual_seed(0)) + 3
    mask = torch.arange(50) < torch.tensor([[50], [20]])
    expected = MaskedGroupNorm(8)(hidden.bfloat16().float(), mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = MaskedGroupNorm(8)(hidden.bfloat16(), mask)
    torch.testing.assert_close(found, expected)


def test_a_long_silence_is_exported_as_exactly_as_torch_computes_it(tmp_path):
    """A runtime that adds up one by one would round each of the many numbers, all alike."""
    long = AudioModality(seconds=8.0)
    torch.manual_seed(0)
    module = ConvolutionalEncoder(long, channels=(16, 8), strides=(8, 4)).eval()
    outputs = {"features": TensorSpec("float32", ("batch", module.feature_dim))}
    graph = encode_graph("sound", long, module, Named(), outputs)
    OnnxExporter().write(graph, tmp_path / "graph.onnx")
    silence = {"sound.waveform": np.zeros((1, 128_000), np.float32), "sound.mask": np.ones((1, 128_000), bool)}
    found = OnnxExporter().open(graph, tmp_path / "graph.onnx")(silence)["encode_sound.features"]
    tensors = {"waveform": torch.zeros(1, 128_000), "mask": torch.ones(1, 128_000) > 0}
    with torch.no_grad():
        single, double = module(tensors).numpy(), copy.deepcopy(module).double()(tensors).numpy()
    largest = max(8 * np.abs(single - double).max(), 16 * 2**-23 * np.abs(double).max())
    assert np.abs(found - double).max() <= largest


def test_only_frames_of_the_sound_are_scored_and_the_length_is():
    targets = tensors_of(sound(0.1), sound(0.4))
    likelihood = frames(2)
    score = likelihood.log_prob(targets)
    moved = frames(2)
    moved.centre[0, :, 10:] += 5  # the first sound has ten frames
    torch.testing.assert_close(moved.log_prob(targets), score)
    sure = torch.where(torch.arange(40) < torch.tensor([[10], [40]]), 20.0, -20.0)
    assert (frames(2, lasting=sure).log_prob(targets) > score).all()


def test_a_frame_behind_the_end_changes_no_score_and_no_gradient_however_far_it_has_gone():
    targets = tensors_of(sound(0.1))
    results = []
    for far in (0.0, 1e30):
        likelihood = frames(1)
        likelihood.centre[:, :, 10:] += far
        likelihood.centre.requires_grad_()
        score = likelihood.log_prob(targets)
        results.append((score.detach(), *torch.autograd.grad(score.sum(), likelihood.centre)))
    for near, far in zip(*results, strict=True):
        torch.testing.assert_close(far, near, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("noise", "distribution"),
    [(GaussianNoise(), torch.distributions.Normal), (LaplaceNoise(), torch.distributions.Laplace)],
)
def test_the_score_of_a_frame_is_its_density(noise, distribution):
    targets = tensors_of(sound(0.4))
    likelihood = frames(1, noise=noise, lasting=torch.full((1, 40), 30.0))
    log_mel, _ = LogMel(SHORT).nats(targets)
    expected = distribution(likelihood.centre, 1.5).log_prob(log_mel).sum()
    torch.testing.assert_close(likelihood.log_prob(targets)[0], expected, rtol=1e-4, atol=1e-2)
    drawn = noise.draw(torch.zeros(200_000), torch.Generator().manual_seed(0))
    assert drawn.std().item() == pytest.approx(distribution(0.0, 1.0).stddev.item(), rel=0.02)


def test_target_and_mode_are_silent_where_the_sound_is_over():
    targets = tensors_of(sound(0.1))
    likelihood = frames(1, lasting=torch.where(torch.arange(40) < 10, 40.0, -40.0).unsqueeze(0))
    for made in (likelihood.target(targets), likelihood.mode(), likelihood.sample(torch.Generator().manual_seed(0))):
        torch.testing.assert_close(made["log_mel"][:, :, 10:], torch.full((1, 12, 30), SILENCE))
        assert (made["log_mel"][:, :, :10] > SILENCE + 1).all()


def test_sounds_come_back_from_a_trained_decoder():
    torch.manual_seed(0)
    targets = tensors_of(sound(0.1), sound(0.3))
    decoder = MelDecoder(SHORT, 2, channels=(16, 8))
    optimiser = torch.optim.Adam(decoder.parameters(), lr=0.02)
    for _ in range(150):
        loss = -decoder(torch.eye(2)).log_prob(targets).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    likelihood = decoder(torch.eye(2))
    mode, target = likelihood.mode()["log_mel"], likelihood.target(targets)["log_mel"]
    assert (mode - target).abs().mean() < 1.5
    first, second = SHORT.from_arrays({"log_mel": mode.detach().numpy()})
    assert np.abs(first[600:]).max() < 0.05 * np.abs(first).max()
    assert np.abs(second[600:1100]).max() > 0.2 * np.abs(second).max()


OTHER_KIND = number_inputs("row")["row"].modality


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ConvolutionalEncoder(SHORT, channels=(8, 8), strides=(4,)),
            r"'strides' holds one number for each of 'channels', got strides \[4\] and channels \[8, 8\]",
        ),
        (lambda: TransformerEncoder(SHORT, width=10), "'width' is a multiple of 'heads', got width 10 and heads 4"),
        (
            lambda: ConvolutionalEncoder(OTHER_KIND),
            "'convolutional' works on the modality 'audio', got Numbers; choose",
        ),
        (
            lambda: MelConvolutionalEncoder(OTHER_KIND),
            "'mel-convolutional' works on the modality 'audio', got Numbers",
        ),
        (lambda: TransformerEncoder(OTHER_KIND), "'transformer' works on the modality 'audio', got Numbers"),
        (lambda: MelDecoder(OTHER_KIND, 2), "the decoder 'mel' works on the modality 'audio', got Numbers"),
    ],
)
def test_what_cannot_be_built_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()
