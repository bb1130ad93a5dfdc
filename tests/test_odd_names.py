"""Inputs may be called what joins names elsewhere: every objective builds, answers and is shown as with any other."""

import functools
import json
import subprocess
import sys
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.discovery.components import make_dataset, make_exporter
from zoo.discovery.plugins import installed
from zoo.errors import SpecError
from zoo.evaluation.evaluate import evaluate
from zoo.evaluation.metrics import row_and_column
from zoo.evaluation.subsets import every_subset, subset_name
from zoo.exporting.bundle import export
from zoo.models.batches import to_batch
from zoo.models.checkpoint import load
from zoo.recipes.naming import GraphFacts, facts_of, inputs_of
from zoo.recipes.spec import Recipe
from zoo.reporting.pictures import pictures_of
from zoo.runtime.bundle import open_bundle
from zoo.runtime.embedding import embed
from zoo.runtime.ends import file_suffixes
from zoo.runtime.manifest import sealed
from zoo.runtime.records import Origin
from zoo.runtime.replay import replay
from zoo.runtime.searching import nearest, query_vector
from zoo.runtime.sources import open_source
from zoo.runtime.vectors import Vectors
from zoo.testing import ObjectiveContract
from zoo.training.train import train

PICTURE = {"modality": {"name": "image", "size": 8, "channels": 1}, "encoder": "mlp", "decoder": "mlp"}
TEXT = {"modality": {"name": "text", "max_length": 4}, "encoder": "bag-of-embeddings", "decoder": "bag-of-words"}
PICTURES, TEXTS = ("a_to_b", "encode_x", "present"), ("speech_to_text", "latent", "embed", "raw")
WORDS = ("dark", "grey", "light")
ALONE = ("autoencoder", "denoising", "vae")
CROSSMODAL = ("alignment", "contrastive", "infonce", "sigmoid", "triplet")
UNTRAINED = ("features",)  # it deploys encoders as they are
OBJECTIVES = [name for name in installed().names("objective") if not name.startswith("toy") and name not in UNTRAINED]
THREE = ("a_to_b", "speech_to_text", "latent")
NAMED = [
    *((objective, ("speech_to_text",) if objective in ALONE else THREE) for objective in OBJECTIVES),
    ("vae", ("latent",)),
    ("vae", ("embed",)),
    ("mopoe", ("encode_x", "embed", "raw")),
    ("infonce", ("present", "raw")),
]


def ways(names):
    """Return what the ways between three inputs are called in metrics of retrieval."""
    pairs = {f"{source}_to_{target}" for source, target in permutations(names, 2)}
    return pairs | {f"{'+'.join(one for one in names if one != target)}_to_{target}" for target in names}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A folder of grey squares and the words for them, under every name."""
    folder = tmp_path_factory.mktemp("rows")
    lines = [",".join((*PICTURES, *TEXTS, "split", "class"))]
    for place in range(36):
        Image.new("L", (8, 8), 7 * place).save(folder / f"{place}.png")
        word, split = WORDS[place // 12], "test" if place % 3 == 0 else "train"
        lines.append(",".join((*[f"{place}.png"] * len(PICTURES), *[word] * len(TEXTS), split, word)))
    (folder / "captions.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def recipe_of(rows):
    def recipe_of(objective, names, **evaluation):
        inputs = {name: PICTURE if name in PICTURES else TEXT for name in names}
        spec = {"objective": objective, "latent_dim": 4, "inputs": inputs}
        tables = {"spec": spec, "data": {"name": "folder", "path": str(rows)}, "evaluation": evaluation}
        return Recipe.read({**tables, "training": {"steps": 1, "batch_size": 12}}, "a recipe")

    return recipe_of


@pytest.fixture(scope="module")
def trained(recipe_of, tmp_path_factory):
    """Train an objective for a step, once."""

    @functools.cache
    def trained(objective, names):
        return load(train(recipe_of(objective, names), tmp_path_factory.mktemp("run") / "run"))

    return trained


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """Export graphs of an objective, once; return the folder."""

    @functools.cache
    def exported(objective, graphs, names=THREE):
        folder = tmp_path_factory.mktemp("exported") / "bundle"
        exporter, origin = make_exporter("onnx", installed()), Origin("odd")
        export(trained(objective, names), exporter, folder, origin=origin, graphs=graphs)
        return folder

    return exported


def samples_of(checkpoint, split="test"):
    return make_dataset(checkpoint.recipe.data, installed()).split(split)


@pytest.mark.parametrize(("objective", "names"), NAMED)
def test_every_graph_is_what_it_says_and_what_an_old_manifest_tells_of_its_name(objective, names, trained):
    checkpoint = trained(objective, names)
    batch = to_batch(samples_of(checkpoint)[:6], checkpoint.model.modalities)
    ObjectiveContract().test_every_graph_is_what_it_says(checkpoint.model.objective, batch)
    graphs = checkpoint.model.graphs()
    assert {graph.kind for graph in graphs} >= ({"encode"} if objective in CROSSMODAL else {"encode", "decode"})
    assert any(graph.raw for graph in graphs)
    for graph in graphs:
        assert GraphFacts(graph.kind, graph.source, graph.target, graph.raw) == facts_of(graph.name, names)


@pytest.mark.parametrize(("objective", "names"), NAMED)
def test_metrics_stand_in_the_rows_of_their_inputs(objective, names, trained):
    checkpoint = trained(objective, names)
    measured = evaluate(checkpoint.model, checkpoint.recipe)
    found = {row_and_column(metric, names)[0] for metric in measured}
    subsets = {subset_name(subset) for subset in every_subset(names)}
    if objective in ALONE:
        assert found == {""}
    elif objective in CROSSMODAL:
        expected = ways(names) if len(names) > 2 else {f"{a}_to_{b}" for a, b in permutations(names, 2)}
        assert found == (expected | set(names) if objective == "alignment" else expected)
    else:
        assert found == subsets


@pytest.mark.parametrize(("objective", "names"), NAMED)
def test_answers_of_graphs_are_measured_as_the_model(objective, names, trained):
    checkpoint = trained(objective, names)
    batch = to_batch(samples_of(checkpoint)[:12], checkpoint.model.modalities)
    contract = ObjectiveContract()
    contract.test_metrics_by_the_answers_of_graphs_are_those_of_the_model(checkpoint.model.objective, batch)


@pytest.mark.parametrize(("objective", "names"), NAMED)
def test_the_report_shows_what_its_graphs_do(objective, names, trained):
    checkpoint = trained(objective, names)
    titles = {picture.title.partition(": ")[0] for picture in pictures_of(checkpoint.model, samples_of(checkpoint))}
    if objective in ALONE:
        assert titles == set(names)
    elif objective in CROSSMODAL:
        assert titles == {f"{source} to {target}" for source, target in permutations(names, 2)}
    elif objective == "cvae":
        assert titles == {f"{source} to {names[0]}" for source in names[1:]}
    else:
        others = {name: ", ".join(one for one in names if one != name) for name in names}
        prior = set() if objective == "fusion" else {", ".join(names)}
        assert titles == {f"{name} to {those}" for name, those in others.items()} | prior


@pytest.mark.verify
def test_latents_are_probed_and_what_they_decode_to_is_judged(trained, recipe_of):
    torch.manual_seed(0)
    model = trained("mvae", THREE).model
    measured = evaluate(model, recipe_of("mvae", THREE, probe=True, coherence=True))
    for subset in every_subset(THREE):
        assert f"{subset_name(subset)}.latent.class.probe" in measured
    assert {f"{name}.class.classifier" for name in THREE} | {"prior.class.coherence"} <= measured.keys()
    assert "a_to_b.class.coherence" in measured
    assert row_and_column("a_to_b+latent.class.coherence", THREE) == ("a_to_b+latent", "class.coherence")


SHOWN = ("encode_latent", "decode_latent", "translate_a_to_b_to_speech_to_text")


def before_schema_2(folder, out):
    """Copy a bundle with the manifest that it would have had before graphs said what they do."""
    out.mkdir()
    for path in folder.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((folder / "manifest.json").read_text())
    for graph in manifest["graphs"].values():
        for key in ("kind", "source", "target", "raw"):
            del graph[key]
    (out / "manifest.json").write_text(json.dumps(sealed({**manifest, "schema": 1})))
    return open_bundle(out)


def test_a_bundle_reads_values_and_tells_what_it_made(exported):
    bundle = open_bundle(exported("mvae", SHOWN))
    words = bundle.run("translate_a_to_b_to_speech_to_text", {"a_to_b": [Image.new("L", (8, 8), 200)] * 2})
    assert [type(value) for value in bundle.values(words)] == [str, str]
    assert bundle.decoded_input(words) == "speech_to_text"
    encoded = bundle.run("encode_latent", {"latent": ["dark"]})
    assert bundle.values(encoded) == []
    decoded = bundle.run("decode_latent", {"latent": encoded["encode_latent.latent"]})
    assert bundle.decoded_input(decoded) == "latent"
    assert isinstance(bundle.values(decoded)[0], str)


def test_a_bundle_from_before_schema_2_has_the_same_records(exported, tmp_path):
    folder = exported("mvae", SHOWN)
    old = before_schema_2(folder, tmp_path / "old")
    assert old.manifest.graphs == open_bundle(folder).manifest.graphs
    words = old.run("translate_a_to_b_to_speech_to_text", {"a_to_b": [Image.new("L", (8, 8), 9)]})
    assert isinstance(old.values(words)[0], str)


def test_rows_are_embedded_and_searched(exported, rows, tmp_path):
    bundle = open_bundle(exported("mvae", SHOWN))
    embed(bundle, "encode_latent", open_source(rows / "captions.csv", ["latent"]), tmp_path / "vectors.npy")
    vectors = Vectors.open(tmp_path / "vectors.npy")
    found, _ = nearest(vectors, query_vector(bundle, vectors, "dark"), 1)
    assert found.item() == 0


@pytest.mark.verify
@pytest.mark.parametrize(("objective", "names"), NAMED)
def test_every_graph_exports_runs_and_is_judged_again(objective, names, exported):
    folder = exported(objective, (), names)
    bundle = open_bundle(folder)
    values = {name: [Image.new("L", (8, 8), 200)] if name in PICTURES else ["dark"] for name in names}
    for name, graph in bundle.manifest.graphs.items():
        given = {one: values[one] for one in inputs_of(graph.inputs) if one not in graph.inputs}
        if graph.kind == "decode":
            given = {"latent": np.zeros((1, *graph.inputs["latent"].axes[1:]), np.float32)}
        outputs = bundle.run(name, given)
        made = bundle.values(outputs)
        assert bundle.decoded_input(outputs) == graph.target
        assert [isinstance(value, str) for value in made] == ([graph.target in TEXTS] if graph.target else [])
    assert replay(bundle)


@pytest.mark.verify
def test_what_is_said_finds_what_is_seen(exported, rows, tmp_path):
    bundle = open_bundle(exported("infonce", ("encode_a_to_b", "encode_speech_to_text.raw")))
    suffixes = file_suffixes(bundle, "encode_a_to_b")
    assert ".png" in suffixes["a_to_b"]
    source = open_source(rows / "captions.csv", ["a_to_b"], suffixes=suffixes)
    embed(bundle, "encode_a_to_b", source, tmp_path / "vectors.npy")
    vectors = Vectors.open(tmp_path / "vectors.npy")
    query = query_vector(bundle, vectors, "dark")
    assert nearest(vectors, query, 3)[0].shape == (1, 3)


@pytest.mark.verify
def test_every_command_takes_inputs_of_any_name(recipe_of, rows, tmp_path):
    def zoo(*arguments):
        command = [Path(sys.executable).with_name("zoo"), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "odd.toml").write_text(recipe_of("infonce", ("a_to_b", "speech_to_text"), by="class").toml())
    zoo("train", "odd.toml", "--out", "run")
    assert "a_to_b_to_speech_to_text" in zoo("evaluate", "run")
    zoo("export", "run", "--out", "bundle", "--precision", "int8-weights")
    assert json.loads(zoo("parity", "bundle", "--json"))
    for graph in ("encode_speech_to_text", "encode_speech_to_text.raw", "embed", "embed.raw"):
        told = json.loads(zoo("run", "bundle", graph, "-i", "speech_to_text=dark", "--json"))
        assert len(told[f"{graph.removesuffix('.raw')}.embedding"][0]) == 4
    zoo("embed", "bundle", "encode_a_to_b", "--input", rows / "captions.csv", "--out", "vectors")
    zoo("search", "bundle", "vectors", "--query", "dark", "--graph", "encode_speech_to_text")
    (tmp_path / "single.toml").write_text(recipe_of("vae", ("speech_to_text",)).toml())
    zoo("train", "single.toml", "--out", "single")
    zoo("export", "single", "--out", "texts", "--graph", "reconstruct_speech_to_text")
    assert "speech_to_text[0]" in zoo("run", "texts", "reconstruct_speech_to_text", "-i", "speech_to_text=dark")


def renamed(recipe, *names):
    """Return a recipe whose inputs are called otherwise, as many as there are names."""
    inputs = [replace(recipe.spec.inputs[0], name=name) for name in names]
    return replace(recipe, spec=replace(recipe.spec, inputs=tuple(inputs)))


def test_inputs_that_could_not_be_told_apart_are_refused_before_the_data_are_read(recipe_of, tmp_path):
    recipe = renamed(recipe_of("mopoe", ("a_to_b", "raw")), "a", "b", "a_to_b")
    with pytest.raises(SpecError, match="the input 'a_to_b' and the way from 'a' to 'b' would both be called 'a_to_b'"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()
