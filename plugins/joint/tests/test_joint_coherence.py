"""A translated value has the label of its source if the model is trained, and by chance if it is not."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from zoo import Recipe, build, load
from zoo.discovery.components import make_dataset
from zoo.discovery.plugins import installed
from zoo.evaluation.coherence import coherence
from zoo.evaluation.evaluate import evaluate
from zoo.models.batches import RowsInMemory, to_batch
from zoo.training.train import train

PICTURE = {
    "modality": {"name": "image", "size": 8, "channels": 1},
    "encoder": {"name": "mlp", "hidden": [32]},
    "decoder": {"name": "mlp", "hidden": [32]},
}
CAPTION = {"modality": "text", "encoder": "bag-of-embeddings", "decoder": "bag-of-words"}
CLASSES = ("dark", "light")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coherent")
    rows, generator = ["picture,caption,class,split"], np.random.default_rng(0)
    for place in range(120):
        kind = CLASSES[place % 2]
        pixels = generator.integers(0, 90, (8, 8)) + (160 if kind == "light" else 0)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{place}.png")
        split = "test" if place >= 80 else "train"
        rows.append(f"{place}.png,{'' if place == 119 else kind},{kind},{split}")
    (folder / "captions.csv").write_text("\n".join(rows))
    tables = {
        "spec": {"objective": "mopoe", "latent_dim": 4, "inputs": {"picture": PICTURE, "caption": CAPTION}},
        "data": {"name": "folder", "path": str(folder)},
        "training": {"steps": 300, "batch_size": 16, "learning_rate": 3e-3},
        "evaluation": {"coherence": True, "probe": True},
    }
    return load(train(Recipe.read(tables, "a recipe"), folder / "run"))


@pytest.fixture(scope="module")
def measured(trained):
    return evaluate(trained.model, trained.recipe)


def test_translations_have_the_label_of_their_row(measured):
    assert measured["picture.class.coherence"] > 0.95
    assert measured["caption.class.coherence"] > 0.95
    assert measured["prior.class.coherence"] > 0.8


def test_the_judges_are_measured_on_real_values(measured):
    assert measured["picture.class.classifier"] == measured["caption.class.classifier"] == 1


def test_every_subset_is_probed_on_the_rows_that_have_it(measured):
    for inputs in ("picture", "caption", "picture+caption"):
        assert measured[f"{inputs}.latent.class.probe"] == 1
    assert measured["caption.latent.class.chance"] == pytest.approx(20 / 39)  # one caption is missing
    assert measured["picture.latent.class.chance"] == 0.5


def test_nothing_is_coherent_by_itself_given_everything(measured):
    assert "picture+caption.class.coherence" not in measured


def test_an_untrained_model_is_at_chance(trained):
    untrained = build(trained.recipe.spec, trained.model.modalities)
    recipe = replace(trained.recipe, evaluation=replace(trained.recipe.evaluation, probe=False))
    assert evaluate(untrained, recipe)["picture.class.coherence"] < 0.7


def test_the_same_seed_gives_the_same_numbers(trained, measured):
    assert evaluate(trained.model, trained.recipe) == measured


def test_an_input_that_nobody_can_judge_is_left_out(trained):
    """No held-out row has a caption, so the accuracy of its classifier cannot be measured."""
    dataset = make_dataset(trained.recipe.data, installed())
    samples = [replace(sample, inputs={**sample.inputs, "caption": None}) for sample in dataset.split("test")]
    modalities = trained.model.modalities
    rows = RowsInMemory(to_batch(samples, modalities))
    found = coherence(trained.model, installed(), dataset.split("train"), samples, rows)
    assert set(found) == {"picture.class.classifier"}
