"""A bundle made by hand: colours by their names, and a latent that is a colour. It needs no torch."""

import json
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from zoo import NotFoundError, Recipe, Sample
from zoo.files.store import digests
from zoo.runtime.manifest import sealed

COLOURS = {
    "red": ("红", (255, 0, 0)),
    "green": ("绿", (0, 255, 0)),
    "blue": ("蓝", (0, 0, 255)),
    "orange": ("橙", (255, 255, 0)),
}
SIDE, LONGEST = 8, 12
RECIPE = {
    "spec": {
        "objective": "infonce",
        "latent_dim": 3,
        "inputs": {
            "caption": {"modality": {"name": "text", "tokenizer": "bytes", "max_length": LONGEST}, "encoder": "any"},
            "picture": {"modality": {"name": "image", "size": SIDE}, "encoder": "any", "decoder": "any"},
        },
    },
    "data": {"name": "colours"},
    "training": {"steps": 1, "batch_size": 1, "learning_rate": 0.1},
}
FREE = {"low": None, "high": None}
PARITY = {"cases": 1, "used": 0.5}


@dataclass(frozen=True)
class Colours:
    """Squares of one colour, named in two languages; blue and orange are held out."""

    license: str = "CC0-1.0"

    @property
    def inputs(self):
        return {"picture": "image", "caption": "text"}

    def split(self, name):
        names = {"train": ("red", "green"), "test": ("blue", "orange")}
        if name not in names:
            raise NotFoundError(f"no split {name!r}")
        return [
            Sample(
                f"{english}.{language}",
                {"picture": np.full((SIDE, SIDE, 3), colour, np.uint8), "caption": caption},
                {"language": language},
            )
            for english in names[name]
            for chinese, colour in [COLOURS[english]]
            for language, caption in (("en", english), ("zh", chinese))
        ]


def save_graph(nodes, inputs, outputs, constants, path):
    values = [
        [helper.make_tensor_value_info(name, kind, axes) for name, (kind, axes) in side.items()]
        for side in (inputs, outputs)
    ]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, path.stem, *values, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def save_words(path):
    """The first byte of a text tells its colour."""
    table = np.zeros((256, 3), np.float32)
    for english, (chinese, colour) in COLOURS.items():
        table[[english.encode()[0]]] = np.float32(colour) / 255
        table[[chinese.encode()[0]]] += 0.01  # all three begin alike in UTF-8
    nodes = [
        helper.make_node("Cast", ["caption.utf8"], ["ids"], to=TensorProto.INT64),
        helper.make_node("Gather", ["ids", "first"], ["byte"], axis=1),
        helper.make_node("Gather", ["table", "byte"], ["encode_caption.embedding"]),
    ]
    takes = {"caption.utf8": (TensorProto.UINT8, ["batch", "bytes"])}
    gives = {"encode_caption.embedding": (TensorProto.FLOAT, ["batch", 3])}
    save_graph(nodes, takes, gives, {"table": table, "first": np.int64(0)}, path)


def save_pictures(path):
    """The mean colour, as embedding and as latent."""
    nodes = [
        helper.make_node("Cast", ["picture.pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers", "sides"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "most"], ["encode_picture.embedding"]),
        helper.make_node("Identity", ["encode_picture.embedding"], ["encode_picture.latent"]),
    ]
    takes = {"picture.pixels": (TensorProto.UINT8, ["batch", 3, "height", "width"])}
    gives = {f"encode_picture.{name}": (TensorProto.FLOAT, ["batch", 3]) for name in ("embedding", "latent")}
    save_graph(nodes, takes, gives, {"sides": np.int64([2, 3]), "most": np.float32(255)}, path)


def save_decoder(path):
    """A square of the colour; green counts half, red not at all."""
    nodes = [
        helper.make_node("Mul", ["latent", "weights"], ["weighed"]),
        helper.make_node("Unsqueeze", ["weighed", "sides"], ["dot"]),
        helper.make_node("Expand", ["dot", "shape"], ["decode_picture.intensity"]),
    ]
    takes = {"latent": (TensorProto.FLOAT, ["batch", 3])}
    gives = {"decode_picture.intensity": (TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])}
    constants = {
        "weights": np.float32([0, 0.5, 1]),
        "sides": np.int64([2, 3]),
        "shape": np.int64([1, 3, SIDE, SIDE]),
    }
    save_graph(nodes, takes, gives, constants, path)


def described():
    """What the manifest says about the graphs."""
    vector = {"dtype": "float32", "axes": ["batch", 3], **FREE}
    utf8 = {"dtype": "uint8", "axes": ["batch", "caption.bytes"], "low": 0, "high": 255}
    pixels = {"dtype": "uint8", "axes": ["batch", 3, "picture.height", "picture.width"], "low": 0, "high": 255}
    intensity = {"dtype": "float32", "axes": ["batch", 3, SIDE, SIDE], "low": 0, "high": 1}
    side = {"smallest": SIDE, "largest": 128, "padded": False}
    return {
        "encode_caption.raw": {
            "inputs": {"caption.utf8": utf8},
            "outputs": {"encode_caption.embedding": vector},
            "axes": {"caption.bytes": {"smallest": 1, "largest": LONGEST, "padded": True}},
        },
        "encode_picture": {
            "inputs": {"picture.pixels": pixels},
            "outputs": {"encode_picture.embedding": vector, "encode_picture.latent": vector},
            "axes": {"picture.height": side, "picture.width": side},
        },
        "decode_picture": {
            "inputs": {"latent": vector},
            "outputs": {"decode_picture.intensity": intensity},
            "axes": {},
        },
    }


@pytest.fixture
def colours():
    """The data."""
    return Colours()


@pytest.fixture
def make_bundle(tmp_path):
    """Make the bundle with the graphs that are named, all of them by default; return its folder."""

    def make(*names, suffix=".onnx"):
        folder = tmp_path / "bundle"
        folder.mkdir()
        graphs = {name: graph for name, graph in described().items() if not names or name in names}
        for save, name in (
            (save_words, "encode_caption.raw"),
            (save_pictures, "encode_picture"),
            (save_decoder, "decode_picture"),
        ):
            if name in graphs:
                save(folder / f"{name}{suffix}")
        (folder / "spec.json").write_text(json.dumps(Recipe.read(RECIPE, "colours").written()))
        (folder / "state.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
        manifest = {
            "schema": 1,
            "origin": {"name": "colours", "license": "MIT", "data_license": ""},
            "graphs": {name: {"file": f"{name}{suffix}", "parity": PARITY, **graph} for name, graph in graphs.items()},
            "files": digests(folder),
        }
        (folder / "manifest.json").write_text(json.dumps(sealed(manifest)))
        return folder

    return make
