"""How much of its data a model does not see is reported in the first lines of a training, with what to set."""

import numpy as np
import pytest

from zoo.models.batches import RowsOnDemand, load_rows
from zoo.offers import TellsLimits, Truncates
from zoo.protocols import Sample
from zoo.recipes.spec import Recipe
from zoo.training.runs import read_log
from zoo.training.unread import Unread, unread

text = pytest.importorskip("zoo_text.modality")

TEXTS = ["red heart", "a very long caption of a red heart", None, "blue heart", "a green heart on a white wall"]
SAMPLES = [Sample(f"s{place}", {"caption": caption}) for place, caption in enumerate(TEXTS)]


def fitted(**options):
    return text.TextModality(**options).fit([caption for caption in TEXTS if caption])


def found(modality, samples=SAMPLES):
    modalities = {"caption": modality}
    return unread(samples, load_rows(samples, modalities, where="here"), modalities)


def test_truncated_values_and_unknown_tokens_are_counted_over_the_values_that_are_there():
    (one,) = found(fitted(max_length=4, vocabulary_size=5)).values()
    assert (one.values, one.truncated, one.tokens) == (4, 2, 12)
    assert one.unknown == 12 - 3 - 2 - 1  # heart, a, and blue are known
    assert list(one.told("caption")) == [
        "caption: 2 of 4 training values are truncated; set spec.inputs.caption.modality.max_length (it is 4)",
        "caption: 50.0% of 12 tokens are unknown; set spec.inputs.caption.modality.vocabulary_size (it is 5)",
    ]


def test_an_input_that_is_read_whole_is_not_named():
    assert found(fitted()) == {}


def test_a_modality_that_tells_nothing_is_not_asked(make_recipe, plugins):
    from zoo_toy.modality import VectorsModality

    samples = [Sample("a", {"left": [[1, 2, 3]]})]
    modalities = {"left": VectorsModality()}
    assert unread(samples, load_rows(samples, modalities, where="here"), modalities) == {}


def test_of_data_that_are_read_on_demand_a_first_part_is_counted():
    modalities = {"caption": fitted(max_length=4)}
    many = [Sample(f"m{place}", {"caption": "one two three four five"}) for place in range(1000)]
    (one,) = unread(many, RowsOnDemand(many, modalities), modalities).values()
    assert (one.values, one.truncated) == (256, 256)


def test_samples_that_cannot_be_read_are_not_counted():
    samples = [*SAMPLES, Sample("bad", {"caption": b"bytes"})]
    modalities = {"caption": fitted(max_length=4)}
    rows = load_rows(samples, modalities, where="here", skip=lambda sample, error: None)
    assert unread(samples, rows, modalities)["caption"].values == 4


def test_the_option_of_a_sound_is_its_seconds():
    audio = pytest.importorskip("zoo_audio.modality")
    modality = audio.AudioModality(seconds=0.01)
    samples = [Sample("a", {"sound": np.zeros(1000)}), Sample("b", {"sound": np.zeros(100)})]
    modalities = {"sound": modality}
    (one,) = unread(samples, load_rows(samples, modalities, where="here"), modalities).values()
    assert list(one.told("sound")) == [
        "sound: 1 of 2 training values are truncated; set spec.inputs.sound.modality.seconds (it is 0.01)"
    ]
    assert isinstance(modality, TellsLimits)
    assert isinstance(modality, Truncates)


def test_without_the_name_of_an_option_the_counts_are_told_alone():
    one = Unread(4, 2, 0, 0, (("", None), ("", None)))
    assert list(one.told("bird")) == ["bird: 2 of 4 training values are truncated"]
    assert one.written() == {"values": 4, "truncated": 2, "options": {}}


@pytest.fixture
def captions(tmp_path):
    """A folder of captions, some of them longer than four words."""
    (tmp_path / "captions.csv").write_text(
        "title,caption,split\n"
        + "".join(f"red heart,a very red heart number {row},{'train' if row < 8 else 'test'}\n" for row in range(12))
    )
    part = {"modality": {"name": "text", "max_length": 4, "vocabulary_size": 6}, "encoder": "bag-of-embeddings"}
    return Recipe.read(
        {
            "spec": {"objective": "infonce", "latent_dim": 4, "inputs": {"title": part, "caption": part}},
            "data": {"name": "folder", "path": str(tmp_path)},
            "training": {"steps": 2, "batch_size": 4},
        },
        "captions.toml",
    )


def test_training_tells_it_before_the_first_step_and_in_the_log(captions, tmp_path, caplog):
    from zoo.training.train import train

    told = []
    train(captions, tmp_path / "run", observe=lambda progress: told.append(list(caplog.messages)))
    assert told[0] == [
        "caption: 8 of 8 training values are truncated; set spec.inputs.caption.modality.max_length (it is 4)"
    ]
    first, *others = read_log(tmp_path / "run/log.jsonl")
    assert first == {
        "step": 0,
        "unread": {
            "caption": {
                "values": 8,
                "truncated": 8,
                "tokens": 32,
                "unknown": 0,
                "options": {
                    "spec.inputs.caption.modality.max_length": 4,
                    "spec.inputs.caption.modality.vocabulary_size": 6,
                },
            }
        },
    }
    assert all("loss" in line for line in others)
    longer = captions.with_options(("training.steps=4",))
    train(longer, tmp_path / "run", resume=True)
    assert [line["step"] for line in read_log(tmp_path / "run/log.jsonl")] == [0, 1, 2, 4]
