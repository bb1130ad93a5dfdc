import contextlib
import re
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from zoo_audio.modality import AudioModality

from zoo import DataError, write_outputs

RATE = 16_000
WHOLE = ["one.wav", "float.wav", "one.flac", "one.ogg", "opus.ogg", "one.mp3", "one.aiff"]
SUBTYPES = {"float.wav": "FLOAT", "opus.ogg": "OPUS"}


def chirp(rate=RATE, seconds=0.5):
    moments = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * (200 * moments + 1500 * moments**2))).astype(np.float32)


def written(folder, name, samples=None, rate=RATE):
    soundfile.write(folder / name, chirp() if samples is None else samples, rate, subtype=SUBTYPES.get(name))
    return folder / name


def waveform(path):
    return AudioModality(seconds=1.0).to_arrays([path])["waveform"][0]


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_of_each_format_is_read(name, tmp_path):
    found = waveform(written(tmp_path, name))
    assert abs(len(found) - len(chirp())) <= 2000  # lossy formats may add silence
    mel = AudioModality().mel
    difference = mel.log_mel(found)[:48, 5:45] - mel.log_mel(chirp())[:48, 5:45]
    assert np.abs(difference).mean() < 2, name
    if name in ("one.wav", "float.wav", "one.flac", "one.aiff"):
        np.testing.assert_allclose(found, chirp(), atol=2**-15)


def test_a_path_may_be_text(tmp_path):
    np.testing.assert_array_equal(waveform(str(written(tmp_path, "a.wav"))), waveform(tmp_path / "a.wav"))


@pytest.mark.parametrize("name", ["one.wav", "one.flac"])
def test_a_file_and_its_samples_with_their_rate_are_the_same_sound(name, tmp_path):
    stereo = np.stack([chirp(44_100, 3), np.zeros(3 * 44_100, np.float32)], axis=1)
    path = written(tmp_path, name, stereo, 44_100)
    given = AudioModality(seconds=1.0).to_arrays([soundfile.read(path, dtype="float32")])["waveform"][0]
    np.testing.assert_array_equal(waveform(path), given)


def test_of_a_long_file_only_the_beginning_is_read(tmp_path):
    path = written(tmp_path, "long.wav", np.zeros(RATE * 600, np.int16))
    assert len(waveform(path)) == RATE


@pytest.mark.parametrize("kept", [1, 20, 44, 100, 0.5, 0.95])
@pytest.mark.parametrize("name", ["one.wav", "float.wav", "one.flac", "one.ogg", "one.aiff"])
def test_a_file_that_ends_early_is_refused_by_name(name, kept, tmp_path):
    path = written(tmp_path, name)
    content = path.read_bytes()
    path.write_bytes(content[: kept if kept >= 1 else int(len(content) * kept)])
    wrong = "cannot be read as WAV|ends before the length that it states; copy or download it again|at least one sample"
    with pytest.raises(DataError, match=rf"^sound 0 \(.*{re.escape(name)}\): .*({wrong})"):
        waveform(path)


def test_a_recording_whose_length_was_not_known_in_advance_is_read(tmp_path):
    path = written(tmp_path, "stream.wav")
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[4:8] = content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    np.testing.assert_allclose(waveform(path), chirp(), atol=2**-15)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"this is no sound", "﻿name,speech\n".encode()])
def test_a_file_that_only_has_the_name_of_a_sound_is_refused(content, tmp_path):
    (tmp_path / "lie.wav").write_bytes(content)
    with pytest.raises(
        DataError,
        match=r"sound 0 \(.*lie\.wav\): cannot be read as WAV, RF64, W64, AIFF, AU, CAF, NIST, FLAC, OGG, MP3: ",
    ):
        waveform(tmp_path / "lie.wav")


def test_a_wrong_ending_does_not_matter(tmp_path):
    path = written(tmp_path, "really.flac").rename(tmp_path / "really.wav")
    np.testing.assert_allclose(waveform(path), chirp(), atol=2**-15)


@pytest.mark.parametrize("make", [lambda path: path, lambda path: path.mkdir()])
def test_what_is_no_file_is_named_with_the_place_that_was_looked_at(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "none.wav")
    message = rf"sound 1 \(none\.wav\): there is no file {tmp_path}/none\.wav; correct the path"
    with pytest.raises(DataError, match=message):
        AudioModality().to_arrays([chirp(), "none.wav"])


def test_a_text_longer_than_any_name_of_a_file_is_no_file():
    with pytest.raises(DataError, match=r"sound 0 \(no+\): there is no file /.*; correct the path"):
        AudioModality().to_arrays(["n" + "o" * 300])


def test_a_file_without_samples_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"empty\.wav\): expected at least one sample, it has none; leave it out"):
        waveform(written(tmp_path, "empty.wav", np.zeros(0, np.float32)))


def test_a_file_with_samples_that_are_no_numbers_is_refused(tmp_path):
    samples = chirp()
    samples[7] = np.nan
    with pytest.raises(DataError, match=r"float\.wav\): sample 7 is not a finite number \(1 in all\)"):
        waveform(written(tmp_path, "float.wav", samples))


def test_a_file_of_silence_is_a_sound(tmp_path):
    assert not waveform(written(tmp_path, "silent.flac", np.zeros(1000, np.int16))).any()


def test_a_sound_is_written_as_a_file_that_reads_the_same(tmp_path):
    modality = AudioModality(sample_rate_hz=8_000, seconds=1.0)
    modality.write(2 * chirp(8_000), tmp_path / f"sound{modality.suffix}")
    samples, rate = soundfile.read(tmp_path / "sound.wav", dtype="float32")
    assert rate == 8_000
    np.testing.assert_allclose(samples, np.clip(2 * chirp(8_000), -1, 1), atol=2**-14)


def test_what_a_decoder_made_of_a_sound_can_be_listened_to(tmp_path):
    modality = AudioModality(seconds=0.5)
    mel = np.stack([modality.mel.log_mel(chirp()), modality.mel.log_mel(chirp()[::-1].copy())])

    class Bundle:
        def described(self, graph):
            return SimpleNamespace(outputs={f"{graph}.log_mel": None})

        def modality(self, name):
            return {"speech": modality}[name]

        def decoded_input(self, outputs):
            return "speech"

        def values(self, outputs):
            return modality.from_arrays({"log_mel": mel})

    write_outputs(Bundle(), "translate_caption_to_speech", {"translate_caption_to_speech.log_mel": mel}, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npy", ".png", ".wav"}
    for number, sound in enumerate(modality.from_arrays({"log_mel": mel})):
        samples, _ = soundfile.read(tmp_path / f"translate_caption_to_speech-{number}.wav", dtype="float32")
        np.testing.assert_allclose(samples, np.clip(sound, -1, 1), atol=2**-14)


CONTAINERS = {
    "one.wav": ("WAV", "PCM_16"),
    "packed.wav": ("WAV", "MS_ADPCM"),
    "extended.wav": ("WAVEX", "PCM_24"),
    "one.flac": ("FLAC", "PCM_16"),
    "one.ogg": ("OGG", "VORBIS"),
    "opus.ogg": ("OGG", "OPUS"),
    "one.mp3": ("MP3", "MPEG_LAYER_III"),
    "one.aiff": ("AIFF", "PCM_16"),
    "one.au": ("AU", "PCM_16"),
    "one.caf": ("CAF", "PCM_16"),
    "lossless.caf": ("CAF", "ALAC_16"),
    "one.w64": ("W64", "PCM_16"),
    "one.rf64": ("RF64", "PCM_16"),
    "one.sph": ("NIST", "PCM_16"),
}


def contained(folder, name, endian="FILE"):
    container, subtype = CONTAINERS[name]
    soundfile.write(folder / name, chirp(), RATE, format=container, subtype=subtype, endian=endian)
    return folder / name


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_whole_file_of_each_container_is_read(name, tmp_path):
    assert abs(len(waveform(contained(tmp_path, name))) - len(chirp())) <= 2000


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_file_of_each_container_that_is_cut_short_is_refused(name, kept, tmp_path):
    path = contained(tmp_path, name)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    wrong = "ends before the length that it states; copy or download it again|cannot be read as WAV, RF64, W64"
    with pytest.raises(DataError, match=rf"^sound 0 \(.*{re.escape(name)}\): ({wrong})"):
        waveform(path)


@pytest.mark.parametrize(("name", "endian"), [("one.wav", "BIG"), ("one.au", "LITTLE"), ("one.caf", "LITTLE")])
def test_the_other_order_of_bytes_is_known(name, endian, tmp_path):
    path = contained(tmp_path, name, endian)
    assert len(waveform(path)) == len(chirp())
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataError, match="ends before the length that it states"):
        waveform(path)


@pytest.mark.parametrize("name", ["one.au", "one.flac"])
def test_a_stream_of_which_nobody_knew_the_length_is_read_in_each_container(name, tmp_path):
    path = contained(tmp_path, name)
    content = bytearray(path.read_bytes())
    if name == "one.au":
        content[8:12] = b"\xff" * 4
    else:
        content[21] &= 0xF0  # of the frames in STREAMINFO, 36 bits
        content[22:26] = bytes(4)
    path.write_bytes(content)
    np.testing.assert_allclose(waveform(path)[: len(chirp())], chirp(), atol=2**-15)


def test_tags_behind_a_sound_do_not_make_it_shorter(tmp_path):
    for name in ("one.wav", "one.ogg", "one.mp3", "one.flac"):
        path = contained(tmp_path, name)
        before = waveform(path)
        path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))
        np.testing.assert_array_equal(waveform(path), before)


def test_a_container_whose_length_nobody_checks_is_refused(tmp_path):
    soundfile.write(tmp_path / "one.voc", chirp(), RATE, format="VOC")
    with pytest.raises(
        DataError, match=r"cannot be read as WAV, RF64, .*: it is VOC \(Creative Labs\); save it as WAV"
    ):
        waveform(tmp_path / "one.voc")


@pytest.mark.parametrize("kept", [0.5, 1])
def test_what_a_decoder_says_on_stderr_stays_away_from_the_user(kept, tmp_path, capfd):
    path = contained(tmp_path, "one.mp3")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)] + b"\x00garbage" * 99)
    with contextlib.suppress(DataError):
        waveform(path)
    assert capfd.readouterr().err == ""


def test_what_a_decoder_says_of_a_file_that_it_refuses_is_told(tmp_path, capfd):
    path = tmp_path / "none.mp3"
    path.write_bytes(b"ID3\x04\0\0\0\0\0\x0a" + b"\xff\xfb\x90" * 300)
    with pytest.raises(DataError, match=r"none\.mp3\): (cannot be read as WAV, .*, MP3: |ends before the length)"):
        waveform(path)
    assert capfd.readouterr().err == ""
