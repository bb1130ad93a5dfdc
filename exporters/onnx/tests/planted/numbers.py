"""Numbers that are none, too large, too small, or of another kind; and answers that come otherwise each time."""

import numpy as np
from onnx import TensorProto

from planted.listing import fault

KIND = "numbers"


def nan_to_zero(file, value):
    """Put zero in the place of NaN."""
    node = file.users(value)[0]
    broken = file.make(node, "IsNaN", value)
    clean = file.make(node, "Where", broken, file.constant(np.float32(0)), value)
    for user in file.users(value):
        if user.output[0] not in (broken, clean):
            for place, name in enumerate(user.input):
                if name == value:
                    user.input[place] = clean
    return clean


@fault(KIND, "picture decoder", "NaN becomes zero")
def nan_in_latent(file):
    nan_to_zero(file, "linear")
    return "silu"


@fault(KIND, "speech", "NaN becomes zero")
def nan_in_sound(file):
    nan_to_zero(file, "speech.waveform")
    return "where"


@fault(KIND, "word probabilities", "NaN is lost in a maximum with a constant", fast=True)
def nan_in_maximum(file):
    node = file.maker("linear")
    broken = file.make(node, "IsNaN", "latent")
    lowest = file.constant(np.float32(-3e38))
    return file.feed(node, 0, file.make(node, "Where", broken, lowest, "latent"))


@fault(KIND, "word probabilities", "infinity becomes the largest number", fast=True)
def infinity(file):
    node = file.maker("linear")
    top = np.finfo(np.float32).max
    return file.feed(node, 0, file.make(node, "Clip", "latent", file.constant(-top), file.constant(top)))


@fault(KIND, "picture decoder", "large numbers are cut at ±50")
def cut_at_fifty(file):
    node = file.maker("linear")
    ends = file.constant(np.float32(-50)), file.constant(np.float32(50))
    return file.feed(node, 0, file.make(node, "Clip", "latent", *ends))


@fault(KIND, "picture decoder", "numbers go through fp16 between two layers")
def half_between(file):
    file.after("silu", "Cast", to=TensorProto.FLOAT16)
    return file.after("silu", "Cast", to=TensorProto.FLOAT)


@fault(KIND, "speech", "log(x + 1e-8) without its 1e-8")
def no_tiny_constant(file):
    node = file.user("matmul", "Add")
    return file.replace(node, "Identity", "matmul")


@fault(KIND, "convolutions", "bytes above 127 turn negative")
def signed_bytes(file):
    node = file.node("Cast")
    return file.feed(node, 0, file.make(node, "Cast", node.input[0], to=TensorProto.INT8))


def through(file, node, dtype):
    """Have a node read its first input as it comes out of another dtype."""
    narrow = file.make(node, "Cast", node.input[0], to=dtype)
    return file.feed(node, 0, file.make(node, "Cast", narrow, to=TensorProto.INT64))


@fault(KIND, "whole numbers", "whole numbers above 2²⁴ go through float32", fast=True)
def whole_through_float(file):
    return through(file, file.maker("remainder"), TensorProto.FLOAT)


@fault(KIND, "whole numbers", "whole numbers are kept in 32 bits", fast=True)
def thirty_two_bits(file):
    return through(file, file.maker("remainder"), TensorProto.INT32)


@fault(KIND, "whole numbers", "a quotient is computed in float32 and rounded down", fast=True)
def quotient_by_float(file):
    node = file.maker("quotient")
    parts = [file.make(node, "Cast", name, to=TensorProto.FLOAT) for name in node.input]
    floor = file.make(node, "Floor", file.make(node, "Div", *parts))
    return file.replace(node, "Cast", floor, to=TensorProto.INT64)


@fault(KIND, "raw text", "the hash of a word is kept in 16 bits")
def sixteen_bits(file):
    return through(file, file.node("Mod", -1), TensorProto.INT16)


@fault(KIND, "bag of words", "ids go through float32", equivalent="ids are far below 2²⁴")
def ids_through_float(file):
    node = file.maker("embedding")
    narrow = file.make(node, "Cast", "caption.ids", to=TensorProto.FLOAT)
    return file.feed(node, 1, file.make(node, "Cast", narrow, to=TensorProto.INT64))


@fault(KIND, "bag of words", "ids go through 16 bits of float", fast=True)
def ids_through_half(file):
    node = file.maker("embedding")
    narrow = file.make(node, "Cast", "caption.ids", to=TensorProto.BFLOAT16)
    return file.feed(node, 1, file.make(node, "Cast", narrow, to=TensorProto.INT64))


@fault(KIND, "bag of words", "the largest id is read as the one before it", fast=True)
def largest_id(file):
    node = file.maker("embedding")
    top = len(file.array("embedding.weight")) - 2
    return file.feed(node, 1, file.make(node, "Min", "caption.ids", file.constant(np.int64(top))))


@fault(KIND, "bag of words", "noise of 1e-7 in every answer", fast=True)
def noise(file):
    output = file.graph.output[0].name
    node = file.maker(output)
    drawn = file.make(node, "RandomNormalLike", "linear", scale=1e-8)
    return file.after(output, "Add", drawn)


@fault(KIND, "LSTM", "dropout is still on", equivalent="onnxruntime takes every dropout out as it loads a file")
def dropout(file):
    on = file.constant(np.bool_(True))
    return file.after("tanh", "Dropout", file.constant(np.float32(0.1)), on)
