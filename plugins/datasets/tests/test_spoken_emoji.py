import hashlib
import subprocess
import sys

import numpy as np
import pytest
from zoo_datasets import espeak, spoken_emoji
from zoo_datasets.espeak import RATE_HZ, Utterance, spoken
from zoo_datasets.openmoji import OpenMoji
from zoo_datasets.spoken_emoji import VOICES, SpokenEmoji

from zoo import DataError, NotFoundError, SpecError
from zoo.testing import DatasetContract

TEXTS = [Utterance("fire engine", "en-us"), Utterance("消防车", "cmn+f2"), Utterance("red heart", "en-us")]


@pytest.fixture
def few_emoji(monkeypatch):
    """Only a few names a split, which are spoken in no time."""
    whole = OpenMoji.split
    monkeypatch.setattr(OpenMoji, "split", lambda self, name: whole(self, name)[:8])
    spoken_emoji._said.cache_clear()
    yield
    spoken_emoji._said.cache_clear()


@pytest.mark.usefixtures("few_emoji")
class TestSpokenEmojiContract(DatasetContract):
    @pytest.fixture
    def dataset(self):
        return SpokenEmoji()


@pytest.mark.usefixtures("few_emoji")
def test_a_sample_is_that_of_openmoji_with_its_name_spoken():
    for written, sample in zip(OpenMoji().split("test"), SpokenEmoji().split("test"), strict=True):
        assert sample.key == written.key
        assert sample.inputs["picture"] is written.inputs["picture"]
        assert sample.inputs["caption"] == written.inputs["caption"]
        assert sample.labels == {**written.labels, "voice": sample.labels["voice"]}
        assert sample.labels["voice"] in VOICES[sample.labels["language"]]
        samples, rate_hz = sample.inputs["speech"]
        assert samples.dtype == np.int16
        assert rate_hz == 22_050
        assert 0.1 < len(samples) / rate_hz < 4
        assert np.abs(samples).max() > 5000


@pytest.mark.usefixtures("few_emoji")
def test_a_name_sounds_the_same_whatever_other_languages_are_asked_for():
    both = {sample.key: sample.inputs["speech"][0] for sample in SpokenEmoji().split("test")}
    spoken_emoji._said.cache_clear()
    for sample in SpokenEmoji(languages=("zh",)).split("test")[:4]:
        np.testing.assert_array_equal(sample.inputs["speech"][0], both[sample.key])


def test_every_voice_speaks_and_each_differs():
    every = [voice for voices in VOICES.values() for voice in voices]
    said = spoken([Utterance("emoji 消防车", voice) for voice in every])
    assert len({sound.tobytes() for sound in said}) == len(every) == 10
    assert all(len(sound) > RATE_HZ / 2 for sound in said)


def test_a_process_of_its_own_speaks_the_same_bytes():
    code = (
        "import hashlib; from zoo_datasets.espeak import Utterance, spoken; "
        "spoken([Utterance('something before', 'en-029')]); "
        f"print(hashlib.sha256(b''.join(s.tobytes() for s in spoken({TEXTS!r}))).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == hashlib.sha256(b"".join(s.tobytes() for s in spoken(TEXTS))).hexdigest()


def test_sounds_come_back_in_the_order_of_the_texts_whatever_their_voices():
    engine, chinese, heart = spoken(TEXTS)
    backwards = spoken(TEXTS[::-1])
    assert [round(len(sound) / RATE_HZ, 1) for sound in backwards] == [
        round(len(sound) / RATE_HZ, 1) for sound in (heart, chinese, engine)
    ]
    assert len({len(engine), len(chinese), len(heart)}) == 3


def test_silence_in_front_and_behind_is_cut_off():
    for sound in spoken(TEXTS):
        loudness = np.abs(sound.astype(int))
        assert min(loudness[0], loudness[-1]) > 0.01 * loudness.max()


def test_what_has_no_sound_is_a_moment_of_silence():
    assert [sound.tolist() for sound in spoken([Utterance("", "en-us"), Utterance(" ", "cmn")])] == [[0], [0]]
    assert spoken([]) == []


@pytest.mark.parametrize("key", ["1F600.en", "1F600.zh"])
def test_the_voice_follows_from_the_key(key):
    language = key.rpartition(".")[2]
    assert spoken_emoji._voice(key, language) in VOICES[language]
    others = {spoken_emoji._voice(f"{number:X}.{language}", language) for number in range(100)}
    assert others == set(VOICES[language])


def test_a_voice_that_is_not_there_is_named():
    message = "espeak-ng could not speak 2 texts: it has no voice 'tlh'; install modalzoo-datasets again"
    with pytest.raises(DataError, match=message):
        spoken([Utterance("a", "en-us"), Utterance("Qapla", "tlh")])


def test_without_espeak_the_message_says_what_to_install(monkeypatch):
    find_spec = espeak.importlib.util.find_spec
    found = {"espeakng_loader": None}
    monkeypatch.setattr(
        espeak.importlib.util, "find_spec", lambda name, *of: found[name] if name in found else find_spec(name, *of)
    )
    spoken_emoji._said.cache_clear()
    installs = r"under the GPL, .*; `pip install modalzoo-datasets\[speech\]` installs it"
    with pytest.raises(NotFoundError, match=installs):
        SpokenEmoji().split("test")


def test_a_language_without_a_voice_is_refused():
    with pytest.raises(SpecError, match="the option 'languages': no voice for 'fr'; available: en, zh"):
        SpokenEmoji(languages=("en", "fr"))


def test_an_unknown_split_names_the_splits():
    with pytest.raises(NotFoundError, match="no split 'dev'; it has train, validation, test"):
        SpokenEmoji().split("dev")
