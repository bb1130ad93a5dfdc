"""What a public object shows in a shell: one short line that says what it is, however much it holds."""

import re

import numpy as np
import torch
from zoo_toy.dataset import ToyDataset

from zoo import (
    DataError,
    Folded,
    LeftOut,
    Losses,
    Prepared,
    Sample,
    TakenStep,
    Vectors,
    embed,
    judge,
    open_bundle,
    open_table,
)
from zoo.models.batches import to_batch

MOST_CHARACTERS = 160


def short(shown, expected):
    assert len(repr(shown)) <= MOST_CHARACTERS
    assert re.fullmatch(expected, repr(shown)), repr(shown)


def test_a_model_and_its_spec(checkpoint):
    model = "toy-autoencoder of right (vectors), left (vectors)"
    short(checkpoint.model, re.escape(f"<model: {model}; 82 parameters>"))
    short(checkpoint.recipe.spec, re.escape(f"<spec: {model}; latent of 2>"))
    short(TakenStep(3, 12, 8, {"loss": 0.5}, checkpoint.model), r"TakenStep\(step=3, .*, model=<model: .*>\)")


def test_graphs_and_their_records(checkpoint, site, bundle):
    graph = next(one for one in checkpoint.model.graphs() if one.name == "encode_left")
    opened = open_bundle(bundle)
    short(graph, r"<graph 'encode_left': left\.\w+, left\.\w+ → encode_left\.\w+>")
    short(opened.graph("encode_left"), r"<session 'encode_left': left\.\w+, left\.\w+ → encode_left\.\w+>")
    short(opened.manifest, r"<manifest of 'toy' by \w+: .*encode_left.*>")
    short(opened.manifest.graphs["encode_left"], r"<graph, encode left: left\.\w+, left\.\w+ → .*; encode_left\.\w+>")
    judged = next(iter(judge(opened).values()))
    short(judged, r"<judged again: \d+ cases, [\d.]+% of the tolerance used; \d+ cases, [\d.]+% at the export>")


def test_rows(checkpoint):
    sample = ToyDataset().split("train")[1]
    short(sample, r"<sample 'train-1': left, right; parity \w+>")
    short(Sample("a", {"left": None}), "<sample 'a': no input>")
    batch = to_batch([sample] * 3, checkpoint.model.modalities)
    short(batch, "<batch of 3 rows: right, left>")
    rows = torch.ones(500, dtype=torch.bool)
    short(Losses.over(rows, {"rate": torch.ones(500), "nll": torch.ones(500)}), "<losses of 500 rows: rate, nll>")
    likelihood = checkpoint.model.objective.decoders["left"](torch.zeros(8, 2))
    short(Folded(likelihood, (4, 2)), r"<\w+ of latents of shape \(4, 2\)>")


def test_arrays_and_vectors(site, bundle, tmp_path):
    arrays = {"left.values": np.ones((500, 3, 3)), "left.mask": np.ones((500, 3))}
    expected = "<prepared: left.values (500, 3, 3), left.mask (500, 3); left truncated in 2 rows>"
    short(Prepared(arrays, {"left": [3, 4]}), re.escape(expected))
    (tmp_path / "rows.jsonl").write_text('{"left": [[1, 2, 3]]}\n' * 2)
    made = embed(bundle, "encode_left", tmp_path / "rows.jsonl", tmp_path / "vectors")
    short(made, r"<2 vectors in '.*vectors'>")
    short(Vectors.open(made.path), r"<2 vectors in '.*vectors'>")


def test_tables_plugins_and_what_is_left_out(tmp_path, plugins):
    (tmp_path / "a.csv").write_text("name,age\nada,36\n")
    short(open_table(str(tmp_path / "a.csv")), r"<table '.*a\.csv': name, age>")
    short(plugins.plugins[0], r"<plugin 'toy' of modalzoo-toy 1\.0: \d+ components>")
    short(plugins.plugins[0].without("it fails"), "<plugin 'toy' of modalzoo-toy 1.0: is out: it fails>")
    left_out = LeftOut({str(number): DataError("broken") for number in range(99)})
    short(left_out, "<left out: 99 samples>")
