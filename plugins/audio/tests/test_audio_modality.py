import re

import numpy as np
import pytest
import soundfile
from zoo_audio.modality import AudioModality

from zoo import DataError, SpecError, UsageError
from zoo.testing import ModalityContract

RATE = 8000


def tone(hertz=440.0, seconds=0.3, rate=RATE, loudness=0.5):
    return (loudness * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def modality(**options):
    return AudioModality(**{"sample_rate_hz": RATE, "seconds": 0.5, "mel_bands": 32} | options)


class TestAudioModality(ModalityContract):
    @pytest.fixture
    def modality(self):
        return modality()

    @pytest.fixture
    def values(self):
        stereo = np.stack([tone(), tone(880)], axis=1)
        return [tone(), (stereo, RATE), (tone(rate=22_050), 22_050), (np.zeros(40, np.int16), RATE), tone(seconds=2)]


def waveform(value, **options):
    return modality(**options).to_arrays([value])["waveform"][0]


def test_rows_are_padded_to_the_longest_and_masked():
    arrays = modality().to_arrays([np.full(3, 0.5, np.float32), np.full(5, -0.5, np.float32)])
    assert arrays["waveform"].tolist() == [[0.5, 0.5, 0.5, 0, 0], [-0.5] * 5]
    assert arrays["mask"].tolist() == [[True] * 3 + [False] * 2, [True] * 5]


def test_the_end_of_a_longer_sound_is_cut_off():
    found = waveform(tone(seconds=3))
    np.testing.assert_array_equal(found, tone(seconds=0.5))


@pytest.mark.parametrize("rate", [RATE, 11_025, 44_100])
def test_longer_sounds_are_told_as_truncated_from_samples_and_from_files(rate, tmp_path):
    sounds = [tone(seconds=seconds, rate=rate) for seconds in (0.5, 0.51, 0.1, 3)]
    for place, sound in enumerate(sounds):
        soundfile.write(tmp_path / f"{place}.wav", sound, rate)
    pairs, files = [(sound, rate) for sound in sounds], [tmp_path / f"{place}.wav" for place in range(4)]
    for values in (pairs, files):
        assert modality().truncated(values, modality().to_arrays(values)) == [1, 3]


@pytest.mark.parametrize(
    ("lone", "came"),
    [
        (tone(), "array of shape (2400,), which is one sound"),
        (np.stack([tone(), tone()], axis=1), "array of shape (2400, 2), which is one sound"),
        ((tone(), RATE), "pair (samples, sample rate)"),
        ("tone.wav", "str; give ['tone.wav']"),
    ],
)
def test_a_lone_sound_is_no_list_of_sounds(lone, came):
    with pytest.raises(UsageError, match=re.escape(f"sounds: expected a list of values, got one {came}")):
        modality().to_arrays(lone)


def test_rows_of_one_array_are_sounds():
    assert modality().to_arrays(np.stack([tone(), tone(880)]))["mask"].shape == (2, 2400)


def test_a_longer_sound_at_another_rate_is_cut_as_after_resampling_all_of_it():
    whole = waveform((tone(seconds=3, rate=44_100), 44_100), seconds=3.0)
    found = waveform((tone(seconds=3, rate=44_100), 44_100))
    assert len(found) == RATE // 2
    np.testing.assert_allclose(found, whole[: len(found)], atol=1e-4)


@pytest.mark.parametrize("rate", [4000, 11_025, 16_000, 44_100, 48_000.0, np.int64(22_050)])
def test_a_tone_keeps_its_pitch_and_loudness_at_another_rate(rate):
    found = waveform((tone(rate=float(rate)), rate))
    assert abs(len(found) - 0.3 * RATE) <= 1
    inner = slice(400, -400)  # near the ends the filter meets silence
    np.testing.assert_allclose(found[inner], tone()[: len(found)][inner], atol=2e-3)


def test_what_the_rate_cannot_hold_is_filtered_out():
    assert np.abs(waveform((tone(6000, rate=44_100), 44_100)))[400:-400].max() < 1e-3


def test_channels_are_mixed_down():
    stereo = np.stack([tone(), -tone()], axis=1)
    assert not waveform((stereo, RATE)).any()
    np.testing.assert_allclose(waveform(np.stack([tone(), 0 * tone()], axis=1)), tone() / 2)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([-32768, 0, 16384], np.int16), [-1, 0, 0.5]),
        (np.array([-(2**31), 0, 2**30], np.int32), [-1, 0, 0.5]),
        (np.array([0, 128, 192], np.uint8), [-1, 0, 0.5]),
        (np.array([-1, 0, 0.5], np.float64), [-1, 0, 0.5]),
        (np.array([-1, 0, 0.5], np.float16), [-1, 0, 0.5]),
    ],
)
def test_whole_numbers_are_scaled_and_floats_are_taken_as_they_are(samples, expected):
    assert waveform(samples).tolist() == expected


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_sound_of_hardly_any_samples_is_one_at_every_rate(count):
    for rate in (RATE, 1000, 192_000):
        assert modality().to_arrays([(np.full(count, 0.25, np.float32), rate)])["mask"].sum() >= 1


def test_silence_is_a_sound():
    arrays = modality().to_arrays([np.zeros(100, np.float32)])
    assert not arrays["waveform"].any()
    assert arrays["mask"].all()
    assert np.asarray(modality().draw(np.zeros(100, np.float32)))[:100].max() <= 4


def test_no_sounds_give_no_rows():
    assert modality().to_arrays([])["waveform"].shape == (0, 1)


def test_sounds_come_back_without_their_padding():
    values = [tone(seconds=0.1), tone(seconds=0.4)]
    for value, found in zip(values, modality().from_arrays(modality().to_arrays(values)), strict=True):
        np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "sound 1: expected the path of a sound file, a pair .* of shape .samples,. .*; got NoneType"),
        ([0.0, 0.5], "sound 1: expected the path of a sound file, .*; got list"),
        ((8000, tone()), "sound 1: expected the path .*; got a tuple of int, ndarray"),
        ((), "sound 1: expected the path .*; got a tuple of nothing"),
        ((tone(), "8000"), r"sound 1: expected a sample rate in Hz, got str; give \(samples, sample rate\)"),
        ((tone(), True), "sound 1: expected a sample rate in Hz, got bool"),
        ((tone(), 0), "sound 1: expected a sample rate from 1000 to 768000 Hz, got 0"),
        ((tone(), float("nan")), "sound 1: expected a sample rate from 1000 to 768000 Hz, got nan"),
        ((tone(), 10**9), "sound 1: expected a sample rate from 1000 to 768000 Hz, got 1000000000"),
        (tone()[None], r"got an array of float32 and shape \(1, 2400\); transpose it"),
        (np.zeros((5, 2, 2), np.float32), r"sound 1: .*; got an array of float32 and shape \(5, 2, 2\)$"),
        (np.zeros(5, np.int64), r"sound 1: .*; got an array of int64 and shape \(5,\)"),
        (np.zeros(5, bool), r"sound 1: .*; got an array of bool and shape \(5,\)"),
        (np.zeros(5, complex), r"sound 1: .*; got an array of complex128 and shape \(5,\)"),
        (np.array(None), r"sound 1: .*; got an array of object and shape \(\)"),
        (np.zeros(0, np.float32), "sound 1: expected at least one sample, it has none; leave it out"),
        (np.zeros((0, 2), np.float32), "sound 1: expected at least one sample, it has none; leave it out"),
        (
            np.array([0, np.nan, np.inf, 0], np.float32),
            r"sound 1: sample 1 is not a finite number \(2 in all\); repair it or leave it out",
        ),
        (np.full(5, 1e30), "sound 1: expected float samples from -1 to 1, got 1e.30; divide them by the full scale"),
        (np.full(5, 1e300), "sound 1: expected float samples from -1 to 1, got 1e.300; divide"),
        (1000 * tone(), "sound 1: expected float samples from -1 to 1, got 500; divide them by the full scale"),
    ],
)
def test_what_is_no_sound_is_named_with_its_position(value, message):
    with pytest.raises(DataError, match=message):
        modality().to_arrays([tone(), value])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"seconds": 1e-6},
            "'seconds' is at least one sample of 'sample_rate_hz', got seconds 1e-06 and sample_rate_hz",
        ),
        ({"hop_ms": 20.0}, "'hop_ms' is at most half of 'window_ms', .*, got hop_ms 20.0 and window_ms 32.0"),
        ({"mel_bands": 128}, "got mel_bands 128 and window_ms 32.0; take fewer bands or a longer window"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        modality(**options)
