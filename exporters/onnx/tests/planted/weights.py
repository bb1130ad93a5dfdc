"""Weights that are not those of the checkpoint."""

import numpy as np

from planted.listing import fault
from planted.structures import entry_model

KIND = "weights"


def largest(array):
    """Return the place of the largest number."""
    return np.unravel_index(np.abs(array).argmax(), array.shape)


@fault(KIND, "bag of words", "one number has the other sign", fast=True)
def one_sign(file):
    weight = file.array("projection.weight")
    weight[largest(weight)] *= -1
    return file.put("projection.weight", weight)


@fault(KIND, "LSTM", "one number is off by a thousandth of itself")
def one_number(file):
    weight = file.array("hidden.0.weight")
    weight[largest(weight)] *= 1.001
    return file.put("hidden.0.weight", weight)


@fault(KIND, "bag of words", "the row of one word, which no drawn text need have, is zero", fast=True)
def one_word(file):
    table = file.array("embedding.weight")
    table[777] = 0
    return file.put("embedding.weight", table)


@fault(KIND, "molecules", "a square matrix is transposed")
def transposed(file):
    return file.put("layers.0.weight", file.array("layers.0.weight").T)


@fault(KIND, "molecules", "two tensors of one shape are swapped")
def swapped(file):
    first, second = file.array("layers.1.weight"), file.array("layers.2.weight")
    file.put("layers.2.weight", first)
    file.put("layers.1.weight", second)
    return file.weight("layers.2.weight").name


@fault(KIND, "bag of words", "one tensor is that of another checkpoint of the same spec")
def stale(file):
    other = dict(entry_model("emoji-sigmoid").objective.named_parameters())
    (name,) = [name for name in other if "caption" in name and name.endswith("projection.weight")]
    return file.put("projection.weight", other[name].detach().numpy())


@fault(KIND, "picture decoder", "a tensor went through fp16")
def half(file):
    return file.put("seed.0.weight", file.array("seed.0.weight").astype(np.float16))


@fault(KIND, "speech", "a tensor went through bf16")
def brain_half(file):
    bits = file.array("blocks.1.output.weight").view(np.uint32) & 0xFFFF0000
    return file.put("blocks.1.output.weight", bits.view(np.float32))


@fault(KIND, "word probabilities", "a tensor went through int8", fast=True)
def eight_bits(file):
    weight = file.array("output.weight")
    step = np.abs(weight).max() / 127
    return file.put("output.weight", np.round(weight / step) * step)


@fault(KIND, "convolutions", "a bias is left out")
def no_bias(file):
    return file.put("stages.1.0.bias", np.zeros(64))


@fault(KIND, "convolutions", "pixels are divided by 256 in place of 255")
def brightest(file):
    return file.put("read.brightest", np.array(256.0))


@fault(KIND, "convolutions", "kernels are mirrored, as of a true convolution")
def mirrored(file):
    return file.put("stages.0.0.weight", file.array("stages.0.0.weight")[:, :, ::-1, ::-1])


@fault(KIND, "LSTM", "the gates are in torch's order, not in ONNX's")
def gates(file):
    node = file.user(file.node("Split").output[0], "Concat")
    node.input[:] = file.node("Split").output
    return node.output[0]


@fault(KIND, "raw text", "one word of the table is spelt otherwise")
def spelt_otherwise(file):
    table = file.array("spelt.numbers")
    table[777, 0] += 1
    return file.put("spelt.numbers", table)
