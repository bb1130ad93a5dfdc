import numpy as np
import pytest
import torch
from zoo_audio.mel import FLOOR, MelScale
from zoo_audio.modality import AudioModality
from zoo_audio.spectrogram import SILENCE, LogMel, to_nats

from zoo import DataError

RATE = 8000
MODALITY = AudioModality(sample_rate_hz=RATE, seconds=0.5, mel_bands=32)
SCALE = MODALITY.mel


def tone(hertz, seconds=0.5, loudness=1.0):
    return (loudness * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def tensors_of(*values, modality=MODALITY):
    return {name: torch.from_numpy(array) for name, array in modality.to_arrays(values).items()}


def noise(seconds=0.5, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)


def test_the_sizes_follow_from_the_options():
    assert MelScale(8000, 32, 256, 80) == SCALE
    assert AudioModality().mel == MelScale(16_000, 64, 512, 160)
    assert [SCALE.frames(samples) for samples in (1, 80, 81, 4000)] == [1, 1, 2, 50]


def test_a_tone_at_full_scale_has_the_power_one_in_its_band():
    power = np.exp(SCALE.log_mel(tone(1000)))[:, 10:-10]
    band = int(power.mean(axis=1).argmax())
    frequencies = np.arange(1, 128) * RATE / 256
    weights = SCALE.filters()[:, np.flatnonzero(frequencies == 1000)[0]]
    assert weights[band] == weights.max()
    np.testing.assert_allclose(power[band], weights[band], rtol=0.6)  # a Hann window spreads it over three bins
    assert power[band + 6 :].max() < 1e-4


def test_neighbouring_bands_share_each_frequency_between_their_middles():
    total = SCALE.filters().sum(axis=0)
    inner = total[np.argmax(SCALE.filters()[0]) + 1 : np.argmax(SCALE.filters()[-1])]
    np.testing.assert_allclose(inner, 1)


def test_silence_lies_at_the_floor():
    np.testing.assert_allclose(SCALE.log_mel(np.zeros(400, np.float32)), np.log(FLOOR))
    silent, mask = LogMel(MODALITY).nats(tensors_of(np.zeros(400, np.float32)))
    torch.testing.assert_close(silent, torch.full_like(silent, SILENCE))
    assert mask.all()


@pytest.mark.parametrize("samples", [1, 79, 80, 81, 1234, 4000])
def test_the_graph_computes_the_spectrogram_that_numpy_computes(samples):
    sound = noise()[:samples]
    expected = torch.from_numpy(SCALE.log_mel(sound))
    double = LogMel(MODALITY).double()
    found, mask = double.nats(tensors_of(sound))
    torch.testing.assert_close(found[0], expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(LogMel(MODALITY).nats(tensors_of(sound))[0][0].double(), expected, atol=1e-3, rtol=0)
    assert mask.shape == (1, found.shape[-1]) == (1, SCALE.frames(samples))


def test_features_are_about_zero_on_average_and_zero_where_nothing_is_valid():
    features, mask = LogMel(MODALITY)(tensors_of(noise(), 0.1 * noise(0.2)))
    assert features[mask.unsqueeze(1).expand_as(features)].abs().mean() < 3
    assert mask.sum(dim=1).tolist() == [50, 20]
    assert not features[1, :, 20:].any()
    expected = torch.from_numpy(SCALE.log_mel(noise()))
    torch.testing.assert_close(to_nats(features[0]).double(), expected, atol=1e-3, rtol=0)


def test_what_stands_behind_the_end_of_a_sound_is_silence_whatever_it_is():
    tensors = tensors_of(noise(), noise(0.2))
    filled = {**tensors, "waveform": torch.where(tensors["mask"], tensors["waveform"], torch.nan)}
    for one, other in zip(LogMel(MODALITY)(tensors), LogMel(MODALITY)(filled), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


def test_mixed_precision_leaves_the_spectrogram_as_it_is():
    tensors = tensors_of(noise())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, _ = LogMel(MODALITY)(tensors)
    torch.testing.assert_close(mixed, LogMel(MODALITY)(tensors)[0], atol=0, rtol=0)


@pytest.mark.parametrize("hertz", [300, 1000, 2500])
def test_the_sound_of_a_spectrogram_has_its_pitch_and_loudness(hertz):
    sound = SCALE.sound(SCALE.log_mel(tone(hertz, loudness=0.5)))
    middle = sound[1000:3000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(2000)))
    assert abs(spectrum.argmax() * RATE / 2000 - hertz) < 0.05 * hertz  # a band's width
    assert 0.15 < np.sqrt((middle**2).mean()) < 0.6


def test_the_sound_of_a_spectrogram_has_about_that_spectrogram():
    moments = np.arange(4000) / RATE
    sweep = (0.4 * np.sin(2 * np.pi * (200 * moments + 2000 * moments**2))).astype(np.float32)
    log_mel = SCALE.log_mel(sweep)
    again = SCALE.log_mel(SCALE.sound(log_mel)[:4000])
    heard = log_mel > log_mel.max() - np.log(1e3)
    assert np.abs(again - log_mel)[heard].mean() < 1


def test_the_same_spectrogram_always_sounds_the_same():
    log_mel = SCALE.log_mel(noise())
    np.testing.assert_array_equal(SCALE.sound(log_mel), SCALE.sound(log_mel.copy()))


def test_silence_sounds_like_silence_and_a_roar_is_turned_down_to_full_scale():
    assert not SCALE.sound(np.full((32, 10), SILENCE)).any()
    assert not SCALE.sound(np.full((32, 10), -100.0)).any()
    assert np.abs(SCALE.sound(np.full((32, 10), 30.0))).max() == pytest.approx(1)


def test_a_decoded_spectrogram_comes_back_as_a_sound_that_can_be_drawn():
    log_mel = SCALE.log_mel(tone(500))[None].astype(np.float32)
    (sound,) = MODALITY.from_arrays({"log_mel": log_mel})
    assert sound.shape == (4000,)
    assert MODALITY.draw(sound).size == MODALITY.draw(tone(500, 0.1)).size


def test_low_tones_are_drawn_below_and_bright():
    low, high = (np.asarray(MODALITY.draw(tone(hertz)).convert("L"), int)[:128] for hertz in (200, 3000))
    assert low.sum(axis=1).argmax() > 100
    assert high.sum(axis=1).argmax() < 30
    assert low.max() > 240
    assert low[:40].max() < 40


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "expected an array 'waveform' or 'log_mel', got none"),
        ({"pixels": np.zeros(1)}, "expected an array 'waveform' or 'log_mel', got pixels"),
        (
            {"log_mel": np.full((1, 32, 5), np.nan)},
            "log_mel holds NaN or infinity, expected finite numbers; look for NaN",
        ),
    ],
)
def test_arrays_that_are_no_sound_are_refused(arrays, message):
    with pytest.raises(DataError, match=message):
        MODALITY.from_arrays(arrays)
