"""Every joint model joins text, pictures, sounds and graphs, any of which may be missing in any row."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image
from zoo_audio.modality import AudioModality
from zoo_graph.modality import GraphModality
from zoo_image.modality import ImageModality
from zoo_onnx.exporter import OnnxExporter
from zoo_text.modality import TextModality

from zoo import Batch, Recipe, build
from zoo.exporting.judging import judge, make_cases

PRESETS = ("fusion", "mvae", "mmvae", "mopoe", "mvtcae", "jmvae", "dmvae", "cvae")
INPUTS = {
    "name": {"modality": "text", "encoder": "bag-of-embeddings", "decoder": "bag-of-words"},
    "picture": {"modality": {"name": "image", "size": 8}, "encoder": "mlp", "decoder": "mlp"},
    "sound": {
        "modality": {"name": "audio", "sample_rate_hz": 2000, "seconds": 0.25, "mel_bands": 8},
        "encoder": {"name": "mel-convolutional", "channels": [4]},
        "decoder": "mel",
    },
    "molecule": {
        "modality": {"name": "graph", "max_nodes": 6, "max_edges": 8},
        "encoder": "gcn",
        "decoder": "adjacency",
    },
}
ROWS = [  # real values, as a data set gives them
    ("methane", {"nodes": ["C"]}),
    ("water", {"nodes": ["O"]}),
    ("ethanol", {"nodes": ["C", "C", "O"], "edges": [[0, 1], [1, 2]], "edge_labels": ["1", "1"]}),
    ("ethene", {"nodes": ["C", "C"], "edges": [[0, 1]], "edge_labels": ["2"]}),
]
# Every pattern of gaps over four inputs, the last with nothing at all.
PATTERNS = torch.tensor(list(product([True, False], repeat=4)))


def values():
    generator = np.random.default_rng(0)
    for place in range(len(PATTERNS)):
        name, molecule = ROWS[place % len(ROWS)]
        picture = Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8))
        sound = np.sin(np.arange(200 + 20 * place) * (0.2 + 0.05 * place)).astype(np.float32)
        yield {"name": name, "picture": picture, "sound": sound, "molecule": molecule}


@pytest.fixture(scope="module")
def modalities():
    rows = list(values())
    unfitted = {
        "name": TextModality(),
        "picture": ImageModality(size=8),
        "sound": AudioModality(sample_rate_hz=2000, seconds=0.25, mel_bands=8),
        "molecule": GraphModality(max_nodes=6, max_edges=8),
    }
    return {name: modality.fit([row[name] for row in rows]) for name, modality in unfitted.items()}


@pytest.fixture(scope="module")
def batch(modalities):
    rows = list(values())
    inputs = {
        name: {key: torch.from_numpy(array) for key, array in modality.to_arrays([row[name] for row in rows]).items()}
        for name, modality in modalities.items()
    }
    return Batch(inputs, {name: PATTERNS[:, place].clone() for place, name in enumerate(modalities)})


def a_model(preset, modalities):
    tables = {"spec": {"objective": preset, "latent_dim": 3, "inputs": INPUTS}, "data": {"name": "molecules"}}
    model = build(Recipe.read(tables, "a recipe").spec, modalities)
    model.objective.eval()
    return model


@pytest.mark.parametrize("preset", PRESETS)
def test_every_pattern_of_gaps_gives_each_row_the_losses_that_it_has_alone(preset, modalities, batch):
    model = a_model(preset, modalities)
    noise = model.objective.noise(batch.rows, generator=torch.Generator().manual_seed(0))
    together = model.losses(batch, noise)
    for row in range(batch.rows):
        alone = batch.take(torch.tensor([row]))
        found = model.losses(alone, {name: drawn[row : row + 1] for name, drawn in noise.items()})
        for name, term in found.terms.items():
            torch.testing.assert_close(term[0], together.terms[name][row], atol=1e-3, rtol=1e-5)
    assert together.weight[-1] == 0


@pytest.mark.parametrize("preset", PRESETS)
def test_nan_in_the_gaps_changes_no_loss_and_no_gradient(preset, modalities, batch):
    model = a_model(preset, modalities)
    noise = model.objective.noise(batch.rows, generator=torch.Generator().manual_seed(0))

    def poisoned(tensor, present):
        there = present.reshape(-1, *(1 for _ in tensor.shape[1:]))
        return torch.where(there, tensor, math.nan if tensor.is_floating_point() else torch.ones_like(tensor))

    inputs = {
        name: {key: poisoned(tensor, batch.present[name]) for key, tensor in tensors.items()}
        for name, tensors in batch.inputs.items()
    }
    results = []
    for version in (batch, Batch(inputs, batch.present)):
        model.objective.zero_grad()
        loss = model.losses(version, noise).loss
        loss.backward()
        results.append([loss.detach(), *(p.grad.clone() for p in model.objective.parameters() if p.grad is not None)])
    for one, other in zip(*results, strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other, atol=0, rtol=0)


# The joint part, and paths from one modality to another; other tests export parts and presets one by one.
EXPORTED = ("embed", "translate_sound_to_name", "translate_molecule_to_picture")


@pytest.mark.verify
@pytest.mark.parametrize("preset", PRESETS)
def test_what_joins_four_kinds_of_data_exports_with_parity(preset, modalities, tmp_path):
    exporter = OnnxExporter()
    model = a_model(preset, modalities)
    known = {graph.name for graph in model.graphs()}
    for graph in model.graphs([name for name in EXPORTED if name in known]):
        path = tmp_path / f"{graph.name}{exporter.suffix}"
        exporter.write(graph, path)
        judge(graph, make_cases(graph), exporter.open(graph, path), exporter.open(graph, path))
