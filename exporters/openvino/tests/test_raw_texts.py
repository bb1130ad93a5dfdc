"""Graphs that read the UTF-8 of texts give on OpenVINO what the tokenizers give, for vocabularies of real size."""

import pytest
import torch
from zoo_datasets.openmoji import OpenMoji
from zoo_openvino.exporter import OpenvinoExporter
from zoo_text.encoders import BagOfEmbeddings
from zoo_text.front import TextFront
from zoo_text.modality import TextModality

from zoo import TensorSpec, encode_graph
from zoo.exporting.judging import judge, make_cases
from zoo.models.fronts import raw_graphs


class Named(torch.nn.Module):
    def forward(self, features):
        return {"features": features}


@pytest.mark.parametrize("tokenizer", ["words", "wordpiece", "bpe"])
def test_a_graph_reads_texts_as_the_tokenizer_does(tokenizer, tmp_path):
    captions = [sample.inputs["caption"] for sample in OpenMoji(languages=("en", "zh"), size=8).split("train")]
    modality = TextModality(tokenizer=tokenizer, max_length=16, vocabulary_size=2000).fit(captions)
    torch.manual_seed(0)
    encoder = BagOfEmbeddings(modality, width=8)
    graph = encode_graph("caption", modality, encoder, Named(), {"features": TensorSpec("float32", ("batch", 8))})
    (raw,) = raw_graphs([graph], {"caption": modality}, lambda name: TextFront(modality))
    exporter, path = OpenvinoExporter(), tmp_path / "raw.xml"
    exporter.write(raw, path)
    assert judge(raw, make_cases(raw), *(exporter.open(raw, path) for _ in range(2))).worst.used <= 1
