"""A graph that reads tensors is there once more from raw values on, and judged from them on."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from zoo_toy.modality import VectorsModality

from zoo.discovery.components import make_modalities
from zoo.discovery.plugins import installed
from zoo.errors import ParityError, PluginError
from zoo.exporting.judging import judge, make_cases
from zoo.models.build import build
from zoo.models.fronts import raw_graphs
from zoo.models.graphs import as_tensors, embed_graph
from zoo.modules import Front
from zoo.offers import TakesRaw
from zoo.protocols import Axis, TensorSpec
from zoo.runtime.utf8 import as_utf8, from_utf8


@dataclass(frozen=True)
class Pebbles(VectorsModality):
    """Vectors of equal numbers, told by a text: a letter a vector, ``a`` for ones and so on."""

    raw_tensors: ClassVar = {"utf8": TensorSpec("uint8", ("batch", "bytes"), 0, 255)}
    raw_axes: ClassVar = {"bytes": Axis(1, 6, padded=True)}

    def to_arrays(self, values):
        return super().to_arrays([[[ord(letter) - 96] * self.width for letter in text or "`"] for text in values])

    def to_raw_arrays(self, values):
        return {"utf8": as_utf8(values, 6)}

    def from_raw_arrays(self, arrays):
        return from_utf8(arrays["utf8"])

    def raw_example(self, batch, sizes, *, generator):
        return {"utf8": generator.integers(97, 123, size=(batch, sizes["bytes"]), dtype=np.uint8)}


class PebblesFront(Front):
    """Right, or one letter off."""

    def __init__(self, modality, *, off=0):
        super().__init__()
        self.width, self.first = modality.width, 96 - off

    def forward(self, tensors):
        mask = tensors["utf8"] > 0
        values = (tensors["utf8"].float() - self.first) * mask
        return {"values": values.unsqueeze(-1).expand(-1, -1, self.width), "mask": mask}


@pytest.fixture
def model(make_recipe, plugins):
    spec = make_recipe().spec
    modalities = {"right": VectorsModality(), "left": Pebbles()}
    return build(spec, modalities, plugins=plugins)


@pytest.fixture
def raw(model):
    return raw_of(model)


def raw_of(model, *, off=0, graphs=None):
    def front(name):
        modality = model.modalities[name]
        return PebblesFront(modality, off=off) if isinstance(modality, TakesRaw) else None

    return {graph.name: graph for graph in raw_graphs(graphs or model.graphs(), model.modalities, front)}


@torch.no_grad()
def run(graph, arrays):
    return {name: tensor.numpy() for name, tensor in graph.module(as_tensors(arrays)).items()}


def test_a_graph_that_reads_an_input_with_a_front_is_there_once_more(raw):
    assert list(raw) == ["encode_left.raw", "reconstruct_left.raw"]
    graph = raw["encode_left.raw"]
    assert graph.inputs == {"left.utf8": TensorSpec("uint8", ("batch", "left.bytes"), 0, 255)}
    assert graph.axes == {"left.bytes": Axis(1, 6, padded=True)}
    assert list(graph.outputs) == ["encode_left.latent"]
    assert (graph.kind, graph.source, graph.target, graph.raw) == ("encode", "left", "", True)


def test_its_answers_are_those_of_the_graph_on_what_the_modality_makes(model, raw):
    values = ["abc", "z", "hello"]
    (encode,) = model.graphs(["encode_left"])
    arrays = {f"left.{name}": array for name, array in model.modalities["left"].to_arrays(values).items()}
    found = run(raw["encode_left.raw"], {"left.utf8": as_utf8(values, 6)})
    np.testing.assert_allclose(found["encode_left.latent"], run(encode, arrays)["encode_left.latent"], rtol=1e-5)


def test_its_parity_is_judged_from_the_raw_value_on(model, raw):
    graph = raw["reconstruct_left.raw"]
    judge(graph, make_cases(graph), lambda arrays: run(graph, arrays), lambda arrays: run(graph, arrays))
    wrong = raw_of(model, off=1)["reconstruct_left.raw"]
    with pytest.raises(
        ParityError, match=r"reconstruct_left\.raw, case 'one row, smallest', output .*, row 0: differs"
    ):
        judge(wrong, make_cases(wrong), lambda arrays: run(wrong, arrays), lambda arrays: run(wrong, arrays))


def test_raw_values_are_drawn_whole_and_never_made_the_highest(raw):
    names = {case.name for case in make_cases(raw["encode_left.raw"])}
    assert "zeros" in names
    assert not any("highest" in name for name in names)


class Sum(torch.nn.Module):
    def forward(self, features, present):
        return {"sum": torch.stack([features[name] * present[name].unsqueeze(1) for name in features]).sum(0)}


def test_inputs_without_a_front_stay_as_they_are(model):
    encoders = {name: model.objective.encoders[name] for name in model.modalities}
    embed = embed_graph(model.modalities, encoders, Sum(), {"sum": TensorSpec("float32", ("batch", 5))})
    (graph,) = raw_of(model, graphs=[embed]).values()
    assert set(graph.inputs) == {"left.utf8", "left.present", "right.values", "right.mask", "right.present"}
    assert set(graph.axes) == {"left.bytes", "right.length"}
    drawn = graph.draw(3, {"left.bytes": 2, "right.length": 4}, np.random.default_rng(0))
    assert drawn["left.utf8"].shape == (3, 2)
    assert drawn["right.values"].shape == (3, 4, 3)
    judge(graph, make_cases(graph), lambda arrays: run(graph, arrays), lambda arrays: run(graph, arrays))


def test_a_graph_whose_answer_is_as_long_as_its_input_has_no_raw_one(model):
    (encode,) = model.graphs(["encode_left"])
    long = replace(encode, outputs={"encode_left.latent": TensorSpec("float32", ("batch", "left.length"))})
    assert not raw_of(model, graphs=[long])


FRONTED = """
from zoo import hookimpl
ZOO_API = 1
@hookimpl
def zoo_fronts():
    return {"vectors": "zoo_pebbles.front:Front"}
"""


@pytest.fixture
def fronted(site, make_recipe):
    """Build a model of an input that takes raw values where a plugin has ``source`` as the front of vectors."""

    def make(source):
        site.add("pebbles", FRONTED, files={"front.py": source})
        spec = make_recipe().spec
        modalities = {**make_modalities(spec, installed()), "left": Pebbles()}
        return build(spec, modalities, plugins=installed())

    return make


RIGHT = """
import zoo
class Front(zoo.Front):
    def __init__(self, modality):
        super().__init__()
        self.width = modality.width
    def forward(self, tensors):
        mask = tensors["utf8"] > 0
        values = ((tensors["utf8"].float() - 96) * mask).unsqueeze(-1)
        return {"values": values.expand(-1, -1, self.width), "mask": mask}
"""


def test_a_plugin_gives_a_modality_its_front(fronted):
    model = fronted(RIGHT)
    raw = ["encode_left.raw", "reconstruct_left.raw"]
    assert [graph.name for graph in model.graphs() if graph.reference] == raw
    assert [graph.name for graph in model.graphs(raw[:1])] == raw[:1]
    assert not [graph.name for graph in model.graphs(raw=False) if graph.reference]


def test_graphs_of_tensors_need_no_front(fronted):
    model = fronted("raise RuntimeError('met too early')")
    assert [graph.name for graph in model.graphs(["encode_left"])] == ["encode_left"]
    assert model.graphs(raw=False)
    with pytest.raises(PluginError, match=r"front 'vectors' of modalzoo-pebbles .*: met too early"):
        model.graphs()


def test_a_front_that_is_none_is_named_with_its_distribution(fronted):
    with pytest.raises(
        PluginError, match=r"the front 'vectors' of modalzoo-pebbles is .*, expected a subclass of zoo.F"
    ):
        fronted("class Front: pass").graphs()


def test_a_front_that_cannot_be_built_is_named_with_its_distribution(fronted):
    source = f"{RIGHT}\n    def __init__(self, modality):\n        raise KeyError('no pebbles')"
    with pytest.raises(
        PluginError, match=r"the front 'vectors' of modalzoo-pebbles cannot be built: KeyError: 'no pebb"
    ):
        fronted(source).graphs()
