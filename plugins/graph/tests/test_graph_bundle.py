"""Molecules the whole way: trained, exported, and served from files of JSON without torch."""

import json

import numpy as np
import pytest
from zoo_graph.reading import GraphValue
from zoo_onnx.exporter import OnnxExporter

from zoo import DataError, Recipe, UsageError, load, open_bundle, write_outputs
from zoo.cli.run import parse_inputs
from zoo.exporting.bundle import export
from zoo.runtime.records import Origin
from zoo.training.train import train

ETHANOL = {"nodes": ["C", "C", "O"], "edges": [[0, 1], [1, 2]], "edge_labels": ["1", "1"]}
MOLECULE = {
    "modality": {"name": "graph", "max_nodes": 50, "max_edges": 60},
    "encoder": {"name": "gin", "width": 8, "depth": 1},
    "decoder": {"name": "adjacency", "width": 16, "node_width": 8},
}
GRAPHS = ["encode_molecule", "reconstruct_molecule"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph")
    tables = {
        "spec": {"objective": "vae", "latent_dim": 4, "inputs": {"molecule": MOLECULE}},
        "data": {"name": "molecules", "size": 16},
        "training": {"steps": 4, "batch_size": 64},
    }
    checkpoint = load(train(Recipe.read(tables, "a recipe"), folder / "run"))
    export(checkpoint, OnnxExporter(), folder / "bundle", origin=Origin("molecules"), graphs=GRAPHS)
    return open_bundle(folder / "bundle")


def test_a_file_of_json_is_encoded_as_its_graph_is(bundle, tmp_path):
    (tmp_path / "ethanol.json").write_text(json.dumps(ETHANOL))
    named = parse_inputs((f"molecule={tmp_path / 'ethanol.json'}", f"molecule={json.dumps(ETHANOL)}"))
    latents = bundle.run("encode_molecule", {"molecule": [*named["molecule"], GraphValue(("C",))]})
    latent = latents["encode_molecule.latent"]
    np.testing.assert_array_equal(latent[0], latent[1])
    assert np.abs(latent[0] - latent[2]).max() > 1e-4


def test_a_reconstruction_is_drawn(bundle, tmp_path):
    outputs = bundle.run("reconstruct_molecule", {"molecule": [ETHANOL, {"nodes": ["C"]}]})
    write_outputs(bundle, "reconstruct_molecule", outputs, tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == 2


def test_an_edge_that_points_to_no_node_is_refused(bundle):
    with pytest.raises(DataError, match="graph 1: edge 0 joins the nodes 0 and 3"):
        bundle.run("encode_molecule", {"molecule": [ETHANOL, {"nodes": ["C"], "edges": [[0, 3]]}]})
    arrays = {f"molecule.{name}": array for name, array in bundle.modality("molecule").to_arrays([ETHANOL]).items()}
    arrays["molecule.edge_ends"][0, 0, 1] = 50
    with pytest.raises(UsageError, match=r"'molecule\.edge_ends' takes 0 to 49; it came with 0 to 50"):
        bundle.run("encode_molecule", arrays)
