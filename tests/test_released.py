"""What an earlier version wrote is opened, judged, resumed and exported anew: ``tests/released`` says what made it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zoo.discovery.components import make_exporter
from zoo.discovery.plugins import installed
from zoo.errors import DataError, UsageError
from zoo.evaluation.evaluate import evaluate
from zoo.exporting.bundle import export, renew
from zoo.models.checkpoint import load
from zoo.recipes.spec import Recipe
from zoo.runtime.bundle import open_bundle
from zoo.runtime.records import Origin
from zoo.runtime.replay import replay
from zoo.training.train import train

RELEASED = Path(__file__).parent / "released"
RAW = "translate_caption_to_picture.raw"
CHECKPOINT = "run/checkpoint-00000004/model.safetensors"


@pytest.fixture
def released(tmp_path):
    """A copy of all that was released."""
    return shutil.copytree(RELEASED, tmp_path / "released")


@pytest.fixture
def exporter():
    """The exporter that the bundle was made by."""
    return make_exporter("onnx", installed())


def schema(bundle):
    return json.loads((bundle / "manifest.json").read_text())["schema"]


@pytest.fixture
def at_full_precision(released, rewrite):
    """A copy of the bundle as one of schema 1 that was exported without fewer bits."""
    bundle = released / "bundle"

    def change(manifest):
        for key in ("precisions", "recommended", "lost"):
            del manifest[key]
        for graph in manifest["graphs"].values():
            (bundle / graph.pop("reduced")["int8-weights"]["file"]).unlink()

    rewrite(bundle, change, files=True)
    return bundle


def test_a_released_bundle_says_what_its_graphs_do():
    bundle = open_bundle(RELEASED / "bundle")
    assert schema(RELEASED / "bundle") == 1
    told = {name: (graph.kind, graph.source, graph.target, graph.raw) for name, graph in bundle.manifest.graphs.items()}
    assert told == {"embed": ("embed", "", "", False), RAW: ("translate", "caption", "picture", True)}
    assert bundle.precisions == ("fp32", "int8-weights")
    assert bundle.manifest.recommended == "fp32"


def test_a_released_bundle_whose_recipe_is_damaged_still_runs_on_arrays(released, rewrite):
    (released / "bundle/spec.json").write_text('{"spec": 3}')
    rewrite(released / "bundle", files=True)
    opened = open_bundle(released / "bundle")
    assert (opened.described(RAW).kind, opened.described(RAW).raw) == ("", True)
    assert opened.graph(RAW)({"caption.utf8": np.zeros((1, 4), np.uint8)})


def test_outputs_that_lack_what_the_modality_needs_stand_for_no_value(released, rewrite):
    """The graph is renamed, and so said to make captions."""
    rename = {"translate_picture_to_caption.raw": RAW}
    rewrite(
        released / "bundle",
        lambda manifest: manifest["graphs"].update({new: manifest["graphs"].pop(old) for new, old in rename.items()}),
    )
    pictures = {"translate_caption_to_picture.intensity": np.zeros((1, 1, 28, 28), np.float32)}
    expected = (
        r"^the outputs translate_caption_to_picture\.intensity are not enough for a value: TextModality also needs "
        "'ids'; give all outputs of one graph, and if they are all, export the model again$"
    )
    with pytest.raises(DataError, match=expected):
        open_bundle(released / "bundle").values(pictures)


@pytest.mark.parametrize("precision", ["fp32", "int8-weights"])
def test_a_released_bundle_answers_with_pictures(precision):
    bundle = open_bundle(RELEASED / "bundle", precision=precision)
    answer = bundle.run(RAW, {"caption": ["Trouser", "Bag"]})
    assert [np.asarray(picture).shape[:2] for picture in bundle.values(answer)] == [(28, 28)] * 2
    assert bundle.run("embed", {"caption": ["Bag", None], "picture": [None, np.zeros((28, 28), np.uint8)]})


def test_a_released_bundle_is_judged_again_as_it_was(zoo):
    report = replay(open_bundle(RELEASED / "bundle"))
    assert {name: worst.used <= 1 for name, (_, worst) in report.items()} == dict.fromkeys(
        ["embed", RAW, "embed.int8-weights", f"{RAW}.int8-weights"], True
    )
    judged = zoo("parity", RELEASED / "bundle")
    assert judged.exit_code == 0, judged.stderr
    assert [line.split()[0] for line in judged.stdout.splitlines()[1:]] == list(report)


def test_other_weights_are_refused_by_a_released_bundle_of_fewer_bits(released, exporter):
    checkpoint = load(released / CHECKPOINT)
    with pytest.raises(UsageError, match=r"hold their own weights, not in model.safetensors beside them; export the"):
        renew(checkpoint, exporter, open_bundle(released / "bundle"), origin=Origin("run"))


def test_other_weights_are_put_into_a_released_bundle(at_full_precision, exporter):
    bundle = at_full_precision
    before = {path.name: path.read_bytes() for path in bundle.glob("*.onnx")}
    manifest = renew(load(RELEASED / CHECKPOINT), exporter, open_bundle(bundle), origin=Origin("run"))
    assert schema(bundle) == 2
    assert manifest == open_bundle(bundle).manifest
    assert manifest.graphs[RAW].kind == "translate"
    assert {path.name: path.read_bytes() for path in bundle.glob("*.onnx")}.keys() == before.keys()
    replay(open_bundle(bundle))


def test_a_released_run_is_resumed_and_exported_in_the_place_of_the_bundle(released, exporter):
    recipe = Recipe.load(released / "small.toml")
    before = (released / "run/log.jsonl").read_text()
    longer = replace(recipe, training=replace(recipe.training, steps=5))
    path = train(longer, released / "run", resume=True)
    assert path.parent.name == "checkpoint-00000005"
    assert (released / "run/log.jsonl").read_text().startswith(before)
    export(load(path), exporter, released / "bundle", origin=Origin("run"), graphs=["embed"])
    assert schema(released / "bundle") == 2
    assert open_bundle(released / "bundle").graphs == ("embed",)


@pytest.mark.verify
def test_a_released_run_is_evaluated_to_what_it_was():
    checkpoint = load(RELEASED / CHECKPOINT)
    expected = json.loads((RELEASED / "evaluation.json").read_text())
    assert evaluate(checkpoint.model, checkpoint.recipe) == pytest.approx(expected, rel=1e-3)
