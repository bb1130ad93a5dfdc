"""A training from weights: tensors by part and name, vocabularies by word, and what the log says of it."""

import json
import shutil

import numpy as np
import pytest
import torch

from zoo.discovery.components import make_modalities
from zoo.discovery.plugins import installed
from zoo.errors import UsageError
from zoo.models.build import build
from zoo.models.checkpoint import Checkpoint, load
from zoo.models.parts import Parts
from zoo.offers import NamesTokens
from zoo.recipes.spec import Recipe
from zoo.training.runs import Run
from zoo.training.starting import Start, take
from zoo.training.train import train

STILL = {"steps": 1, "learning_rate": 1e-30}


def of_texts(texts, *, tokenizer="words", seed=0, width=4, **options):
    """Return the checkpoint of an untrained autoencoder of texts."""
    part = {"modality": {"name": "text", "tokenizer": tokenizer, **options}}
    part |= {"encoder": {"name": "bag-of-embeddings", "width": width}, "decoder": "bag-of-words"}
    tables = {
        "spec": {"objective": "autoencoder", "latent_dim": 3, "inputs": {"caption": part}},
        "data": {"name": "toy"},
    }
    recipe = Recipe.read(tables, "texts")
    fitted = {name: one.fit(texts) for name, one in make_modalities(recipe.spec, installed()).items()}
    return Checkpoint(build(recipe.spec, fitted, seed=seed), recipe, "0" * 64)


def tensors(checkpoint, part):
    return {
        name: one[0].detach() for name, one in Parts.of(checkpoint.model).parameters.items() if name.startswith(part)
    }


def test_rows_of_a_vocabulary_are_taken_by_word_and_new_words_stay_fresh():
    source, made = of_texts(["a red bike", "a cat"], seed=1), of_texts(["cat on a mat", "a dog"])
    before = {name: tensor.clone() for name, tensor in tensors(made, "caption").items()}
    found = take(made.model, Start("texts", source))
    words, known = (list(one.model.modalities["caption"].tokens) for one in (made, source))
    after, theirs = tensors(made, "caption"), tensors(source, "caption")
    table, output = "caption.encoder.embedding.weight", "caption.decoder.output.weight"
    assert {*found.resized} >= {table, output, "caption.decoder.output.bias"}
    for place, word in enumerate(words):
        taken = word in known and (word or place < 2)
        expected = theirs[table][known.index(word) if word else place] if taken else before[table][place]
        assert torch.equal(after[table][place], expected), word
        if word:
            expected = theirs[output][known.index(word) - 2] if taken else before[output][place - 2]
            assert torch.equal(after[output][place - 2], expected), word
    assert found.resized[table] == f"4 of {len(words)} rows taken by word, the others are fresh"
    assert not found.fresh


def test_vocabularies_of_one_size_are_matched_by_word_too():
    source, made = of_texts(["one two"], seed=1), of_texts(["two three"])
    take(made.model, Start("texts", source))
    table = "caption.encoder.embedding.weight"
    words, known = (list(one.model.modalities["caption"].tokens) for one in (made, source))
    assert len(words) == len(known)
    place, there = words.index("two"), known.index("two")
    assert torch.equal(tensors(made, "caption")[table][place], tensors(source, "caption")[table][there])


def test_one_vocabulary_is_taken_as_it_is():
    source, made = of_texts(["one two"], seed=1), of_texts(["one two"])
    found = take(made.model, Start("texts", source))
    assert not found.resized
    assert not found.fresh
    assert all(torch.equal(one, tensors(source, "")[name]) for name, one in tensors(made, "").items())


def test_tensors_of_another_shape_stay_fresh_with_both_shapes():
    source, made = of_texts(["one two"], seed=1, width=5), of_texts(["one two"])
    found = take(made.model, Start("texts", source))
    assert found.fresh["caption.encoder.embedding.weight"] == "it is of the shape (4, 5) there and (4, 4) here"


@pytest.mark.parametrize("tokenizer", ["words", "wordpiece", "bpe", "bytes"])
def test_a_text_modality_names_each_of_its_tokens(tokenizer):
    modality = of_texts(["a red bike"], tokenizer=tokenizer).model.modalities["caption"]
    assert isinstance(modality, NamesTokens)
    assert len(modality.tokens) == modality.token_count
    assert [*map(bool, modality.tokens)] == [place >= modality.first_word for place in range(modality.token_count)]


def test_a_training_begins_with_the_weights_of_a_run(make_recipe, plugins, tmp_path, trained, weights):
    start = Start("toys", load(trained, plugins=plugins))
    path = train(make_recipe(**STILL), tmp_path, start=start, plugins=plugins)
    mine, theirs = weights(path), weights(trained)
    assert all(torch.equal(mine[name], tensor) for name, tensor in theirs.items())
    written = json.loads((tmp_path / "from.json").read_text())
    assert written == {
        **{
            "name": "toys",
            "sha256": start.checkpoint.sha256,
            "keep_fitted": False,
            "resized": {},
            "fresh": {},
            "left": [],
        },
        "taken": written["taken"],
    }
    assert sorted(written["taken"])[:2] == ["heads.left.linear.bias", "heads.left.linear.weight"]
    assert len(written["taken"]) == len(theirs)


def test_weights_are_taken_from_another_objective_by_part(make_recipe, plugins, tmp_path, trained, weights, caplog):
    start = Start("toys", load(trained, plugins=plugins))
    path = train(make_recipe("toy-alignment", **STILL), tmp_path, start=start, plugins=plugins)
    assert torch.equal(weights(path)["encoders.left.linear.weight"], weights(trained)["encoders.left.linear.weight"])
    assert "from toys: tensors of left.encoder: 2 taken, 0 resized, 0 fresh" in caplog.messages
    assert "from toys: tensors of head.linear: 0 taken, 0 resized, 2 fresh" in caplog.messages
    written = json.loads((tmp_path / "from.json").read_text())
    assert written["fresh"]["head.linear.weight"] == "there is no such tensor"
    assert "left.decoder.linear.weight" in written["left"]


def test_modalities_are_fitted_anew_unless_they_are_to_be_kept(make_recipe, plugins, tmp_path, trained):
    checkpoint = load(trained, plugins=plugins)
    scales = {}
    for kept in (False, True):
        recipe = make_recipe(data={"rows": 9}, **STILL)
        start = Start("toys", checkpoint, keep_fitted=kept)
        path = train(recipe, tmp_path / str(kept), start=start, plugins=plugins)
        scales[kept] = load(path, plugins=plugins).model.modalities["left"].state()["scale"]
    theirs = checkpoint.model.modalities["left"].state()["scale"]
    assert np.array_equal(scales[True], theirs)
    assert not np.array_equal(scales[False], theirs)


def test_what_was_learnt_must_fit_to_be_kept(make_recipe, plugins, trained):
    start = Start("toys", load(trained, plugins=plugins), keep_fitted=True)
    recipe = make_recipe().with_options(["spec.inputs.left.modality.width=4"])
    with pytest.raises(
        UsageError, match=r"what the input 'left' of toys learnt does not fit this recipe: .*; leave out"
    ):
        start.fitted(recipe, plugins)


def test_weights_of_which_nothing_fits_are_refused(make_recipe, plugins, tmp_path, trained):
    recipe = Recipe.read(
        json.loads(json.dumps(make_recipe().written()).replace("right", "one").replace("left", "other")), ""
    )
    recipe = recipe.with_options({"data": {"name": "toy"}, "spec.latent_dim": 3})
    other = make_recipe().with_options({"spec.latent_dim": 3, "spec.objective": "toy-alignment"})
    model = build(
        recipe.spec, dict.fromkeys(("one", "other"), make_modalities(other.spec, plugins)["left"]), plugins=plugins
    )
    with pytest.raises(
        UsageError, match=r"no weights of toys fit this model: it has right.encoder, .* this model has one"
    ):
        take(model, Start("toys", load(trained, plugins=plugins)))


def test_the_command_starts_from_a_run_a_checkpoint_or_a_bundle(zoo, recipe_file, trained, bundle, tmp_path, caplog):
    refused = zoo("train", recipe_file(**STILL), "--from", bundle, "--out", tmp_path / "run")
    assert refused.error == f"{bundle} is a bundle whose graphs hold their own weights; name its checkpoint"
    shutil.copy(trained, bundle / "model.safetensors")
    for number, source in enumerate((trained.parent.parent, trained, bundle)):
        caplog.clear()
        done = zoo("train", recipe_file(**STILL), "--from", source, "--out", tmp_path / str(number))
        assert done.exit_code == 0, done.stderr
        name = source / "model.safetensors" if source == bundle else source
        assert f"from {name}: tensors of left.encoder: 2 taken, 0 resized, 0 fresh" in caplog.messages
        assert (tmp_path / str(number) / "from.json").is_file()


def test_a_training_from_weights_goes_on_from_its_checkpoint(zoo, recipe_file, trained, tmp_path, make_recipe, plugins):
    from zoo.verbs.train import train as trained_by

    for name, steps in (("whole", [8]), ("parts", [4, 8])):
        for count in steps:
            recipe, resume = make_recipe(steps=count), count == 8
            trained_by(recipe, tmp_path / name, start_from=trained, resume=resume, plugins=plugins)
    newest = [Run(tmp_path / name).newest().weights.read_bytes() for name in ("whole", "parts")]
    assert newest[0] == newest[1]
    assert (tmp_path / "parts/from.json").read_bytes() == (tmp_path / "whole/from.json").read_bytes()


def test_a_run_from_weights_that_has_no_checkpoint_yet_needs_them_again(zoo, recipe_file, trained, tmp_path):
    run = tmp_path / "run"
    zoo("train", recipe_file(**STILL), "--from", trained, "--out", run)
    for path in (run / "checkpoint-00000001").iterdir():
        path.unlink()
    (run / "checkpoint-00000001").rmdir()
    told = zoo("train", recipe_file(**STILL), "--out", run, "--resume")
    assert told.exit_code == 2
    assert told.error == (
        f"{run} began from other weights, which its from.json names, and holds no checkpoint yet; give them again by "
        "--from"
    )
    assert zoo("train", recipe_file(**STILL), "--out", run).exit_code == 0
    assert not (run / "from.json").exists()


def test_keeping_what_was_fitted_needs_weights_to_start_from(zoo, recipe_file):
    told = zoo("train", recipe_file(), "--keep-fitted")
    assert told.error == "--keep-fitted is for --from, which is not given; add it, or leave this out"
