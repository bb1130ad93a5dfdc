from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from zoo_datasets import stamps
from zoo_datasets.stamps import Stamps

from zoo import DataError, NotFoundError, SpecError
from zoo.testing import DatasetContract

SPLITS = ("train", "validation", "test")
needs_package = pytest.mark.skipif(
    not stamps._DEBIAN.is_dir(), reason="the package tuxpaint-stamps-default is not installed"
)
FROG = "A frog.\nam.utf8=አንቁራሪት \nca@valencia.utf8=Una granota.\nde.utf8=Ein Frosch.\nfr.utf8=Une grenouille.\n"


@pytest.fixture
def written(monkeypatch, tmp_path):
    """Return a function that writes files into a folder of stamps; it has a frog, another, and a house as SVG."""
    monkeypatch.setenv("ZOO_STAMPS", str(tmp_path))

    def write(name, content=b""):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".png"):
            Image.new("RGBA", (8, 8), (0, 128, 0, 128)).save(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    for name in ("animals/frog.png", "animals/cartoon/frog.png", "animals/frog_mirror.png"):
        write(name)
    write("animals/frog.txt", FROG)
    write("animals/cartoon/frog.txt", "The frog!\nfr.utf8=Une grenouille.\n")
    write("town/house.svg", b"<svg/>")
    write("town/house.txt", "A house.\nfr.utf8=Une maison.\n")
    write("animals/frog.ogg")
    write("animals/frog_desc.ogg")
    write("animals/frog_desc_fr.ogg")
    write("animals/frog_desc_da.ogg.ogg")
    return write


class TestStampsContract(DatasetContract):
    @pytest.fixture
    def dataset(self, written):
        for number in range(30):
            written(f"symbols/{number}.png")
            written(f"symbols/{number}.txt", f"Number {number}.\nfr.utf8=Nombre {number}.\n")
        return Stamps()


def every(dataset):
    return {sample.key: sample for split in SPLITS for sample in dataset.split(split)}


def test_a_stamp_has_a_picture_a_caption_a_recording_and_labels(written, tmp_path):
    found = every(Stamps(languages=("fr", "en")))
    frog = found["animals/frog.fr"]
    assert frog.inputs == {
        "picture": tmp_path / "animals/frog.png",
        "caption": "Une grenouille.",
        "speech": tmp_path / "animals/frog_desc_fr.ogg",
    }
    assert frog.labels == {"concept": "frog", "group": "animals", "language": "fr"}
    assert found["animals/frog.en"].inputs["caption"] == "A frog."


def test_what_a_stamp_lacks_is_missing(written):
    found = every(Stamps(languages=("fr", "de")))
    assert found["animals/cartoon/frog.fr"].inputs["speech"] is None
    assert found["animals/cartoon/frog.de"].inputs["caption"] is None


def test_english_is_the_first_line_and_its_recording_bears_no_language(written, tmp_path):
    found = every(Stamps(languages=("en",), speech_language="en"))
    assert found["animals/frog.en"].inputs["speech"] == tmp_path / "animals/frog_desc.ogg"


def test_drawings_and_mirrored_pictures_without_captions_are_left_out(written):
    assert set(every(Stamps())) == {"animals/frog.fr", "animals/cartoon/frog.fr"}


def test_stamps_of_one_concept_are_on_one_side_in_every_language(written):
    dataset = Stamps(languages=("fr", "en"))
    assert sorted(len(dataset.split(split)) for split in SPLITS) == [0, 0, 4]


def test_a_language_may_have_a_variant_and_captions_are_trimmed(written):
    found = every(Stamps(languages=("am", "ca@valencia")))
    assert found["animals/frog.am"].inputs["caption"] == "አንቁራሪት"
    assert found["animals/frog.ca@valencia"].inputs["caption"] == "Una granota."


def test_old_lines_windows_lines_and_a_byte_order_mark_do_not_matter(written):
    written("animals/frog.txt", "\ufeffA frog.\r\nfr=Une grenouille\r\nfr.utf8=Une rainette.\r\n\r\nde.utf8=\r\n")
    assert every(Stamps())["animals/frog.fr"].inputs["caption"] == "Une rainette."


def test_an_ogg_goes_before_a_wav(written, tmp_path):
    written("animals/frog_desc_fr.wav")
    written("animals/cartoon/frog_desc_fr.wav")
    found = every(Stamps())
    assert found["animals/frog.fr"].inputs["speech"] == tmp_path / "animals/frog_desc_fr.ogg"
    assert found["animals/cartoon/frog.fr"].inputs["speech"] == tmp_path / "animals/cartoon/frog_desc_fr.wav"


def test_without_the_package_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delenv("ZOO_STAMPS", raising=False)
    monkeypatch.setattr(stamps, "_DEBIAN", tmp_path / "none")
    advice = "none holds no stamps, .*; install the Debian package tuxpaint-stamps-default, or name a folder"
    with pytest.raises(NotFoundError, match=advice):
        Stamps().split("train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xe9t\xe9\n", "frog.txt cannot be read: .*; save it as UTF-8 or install the package again"),
        (b"", "frog.txt: expected the English caption as the first line, got an empty one; write it there"),
        (b"\nfr.utf8=x\n", "frog.txt: expected the English caption as the first line, got an empty one"),
    ],
    ids=["latin", "empty", "no first line"],
)
def test_wrong_captions_name_the_file(content, message, written):
    written("animals/frog.txt", content)
    with pytest.raises(DataError, match=message):
        Stamps().split("train")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"languages": ("fr", "xx")},
            "the option 'languages': no stamp has 'xx'; available: am, ca@valencia, de, en, fr",
        ),
        ({"speech_language": "de"}, "the option 'speech_language': no stamp has 'de'; available: en, fr"),
        ({"languages": ("fr", "fr")}, "the option 'languages' names each language once, got ['fr', 'fr']"),
    ],
)
def test_a_language_that_no_stamp_has_is_refused(options, message, written):
    with pytest.raises(SpecError, match=f"^{re.escape(message)}"):
        Stamps(**options).split("train")


def test_an_unknown_split_names_the_splits(written):
    with pytest.raises(NotFoundError, match="'stamps' has no split 'dev'; it has train, validation, test"):
        Stamps().split("dev")


@needs_package
def test_the_package_holds_what_we_counted(monkeypatch):
    monkeypatch.delenv("ZOO_STAMPS", raising=False)
    dataset = Stamps(languages=("en", "zh_CN"))
    assert {split: len(dataset.split(split)) for split in SPLITS} == {"train": 1140, "validation": 152, "test": 278}
    found = every(dataset)
    spoken = {key.rpartition(".")[0] for key, sample in found.items() if sample.inputs["speech"]}
    chinese = {
        key.rpartition(".")[0] for key, sample in found.items() if key.endswith("zh_CN") and sample.inputs["caption"]
    }
    assert (len(spoken), len(chinese), len(spoken & chinese)) == (767, 713, 703)
    counts = {
        language: sum(s.inputs["speech"] is not None for s in every(Stamps(speech_language=language)).values())
        for language in ("en", "es", "ru")
    }
    assert counts == {"en": 65, "es": 741, "ru": 760}
    assert len({sample.labels["concept"] for sample in found.values()}) == 644
    groups = Counter(sample.labels["group"] for sample in found.values())
    assert groups.most_common(2) == [("symbols", 494), ("animals", 292)]


@needs_package
def test_recordings_of_the_package_are_sounds(monkeypatch):
    soundfile = pytest.importorskip("soundfile", reason="the package soundfile is not installed")
    monkeypatch.delenv("ZOO_STAMPS", raising=False)
    for sample in Stamps().split("validation")[:8]:
        if sample.inputs["speech"]:
            sound, rate = soundfile.read(sample.inputs["speech"])
            assert rate == 44100
            assert 0.3 < len(sound) / rate < 12
            assert np.abs(sound).max() > 0.01
