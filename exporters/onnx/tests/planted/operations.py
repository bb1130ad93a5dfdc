"""Operations that are nearly, or not at all, what torch computes."""

import numpy as np

from planted.listing import fault

KIND = "operations"


@fault(KIND, "joint", "GELU by tanh in place of erf")
def gelu(file):
    return file.set(file.node("Gelu"), approximate="tanh")


@fault(KIND, "bag of words", "layer normalisation with an epsilon of 1e-6 in place of 1e-5", fast=True)
def layer_norm(file):
    return file.set(file.node("LayerNormalization"), epsilon=1e-6)


@fault(
    KIND,
    "speech",
    "the last layer normalisation with an epsilon of 1e-6 in place of 1e-5",
    equivalent="answers are scaled to the length 1, so the change left is smaller than rounding",
)
def last_layer_norm(file):
    return file.set(file.node("LayerNormalization", -1), epsilon=1e-6)


@fault(KIND, "convolutions", "group normalisation with an epsilon of 1e-3 in place of 1e-5")
def group_norm(file):
    return file.set(file.node("InstanceNormalization", 1), epsilon=1e-3)


@fault(KIND, "convolutions", "group normalisation over 16 groups in place of 8")
def groups(file):
    node = file.node("InstanceNormalization")
    file.feed(file.maker(node.input[0]), 1, file.constant(np.array([0, 16, -1])))
    file.feed(node, 1, file.constant(np.ones(16, np.float32)))
    return file.feed(node, 2, file.constant(np.zeros(16, np.float32)))


@fault(KIND, "speech", "softmax over queries in place of keys")
def softmax(file):
    return file.set(file.node("Softmax"), axis=2)


@fault(KIND, "word probabilities", "softmax over rows in place of words", fast=True)
def softmax_of_rows(file):
    return file.set(file.node("Softmax"), axis=0)


@fault(KIND, "transformer", "the scale of attention is that of the whole width")
def attention_scale(file):
    scale = next(node for node in file.graph.node if node.op_type == "Mul" and "getitem" in node.input[0])
    return file.feed(scale, 1, file.constant(np.float32(32**-0.25)))


@fault(KIND, "transformer", "queries and keys are exchanged")
def queries_and_keys(file):
    first, second = (next(node for node in file.graph.node if node.name == f"node_unbind__{place}") for place in (0, 1))
    first.input[0], second.input[0] = second.input[0], first.input[0]
    return first.output[0]


@fault(KIND, "transformer", "a residual branch is left out")
def residual(file):
    node = [node for node in file.graph.node if node.op_type == "Add" and node.output[0].startswith("add_")][-1]
    return file.replace(node, "Identity", node.input[1])


@fault(KIND, "transformer", "positions begin at 1")
def positions(file):
    node = file.user(file.weight("positions").name, "Slice")
    rolled = file.make(node, "Concat", *[file.weight("positions").name] * 2, axis=0)
    file.feed(node, 0, rolled)
    node.input[1] = file.constant(np.array([1]))
    node.input[2] = file.make(node, "Add", node.input[2], file.constant(np.array([1])))
    return node.output[0]


@fault(KIND, "convolutions", "a sum in place of the mean over places")
def sum_for_mean(file):
    return file.replace(file.node("ReduceMean"), "ReduceSum", keepdims=1)


@fault(KIND, "molecules", "leaky ReLU with a slope of 1e-3 in place of ReLU")
def leaky(file):
    return file.replace(file.node("Relu", 1), "LeakyRelu", alpha=1e-3)


@fault(KIND, "picture decoder", "a piecewise linear sigmoid")
def hard_sigmoid(file):
    return file.replace(file.node("Sigmoid", -1), "HardSigmoid", alpha=0.25, beta=0.5)


@fault(KIND, "LSTM", "tanh is cut at ±0.9")
def cut_tanh(file):
    value = file.node("Tanh").output[0]
    return file.after(value, "Clip", file.constant(np.float32(-0.9)), file.constant(np.float32(0.9)))


@fault(KIND, "convolutions", "a convolution is padded on one side alone")
def padding(file):
    return file.set(file.node("Conv", 1), pads=[0, 0, 1, 1])


@fault(KIND, "convolutions", "a convolution is dilated")
def dilation(file):
    return file.set(file.node("Conv", 2), dilations=[2, 2], pads=[2, 2, 2, 2])


@fault(KIND, "convolutions", "a convolution takes steps of 2 down and 1 across")
def stride(file):
    return file.set(file.node("Conv", 2), strides=[2, 1])


@fault(KIND, "picture decoder", "a transposed convolution is shifted by a pixel")
def shifted(file):
    return file.set(file.node("ConvTranspose", 1), pads=[0, 0, 2, 2])


@fault(KIND, "convolutions", "a resize to smaller does not average")
def antialias(file):
    return file.replace(file.node("Max"), "Identity", file.node("Max").input[1])


@fault(KIND, "convolutions", "a resize counts from corners in place of centres")
def corners(file):
    node = next(node for node in file.graph.node if node.op_type == "Add" and node.input[0].startswith("mul_"))
    return file.feed(node, 1, file.constant(np.int64(0)))


@fault(KIND, "convolutions", "a resize has negative weights")
def negative_weights(file):
    return file.replace(file.node("Clip"), "Identity", file.node("Clip").input[0])


@fault(KIND, "convolutions", "height and width are exchanged")
def height_and_width(file):
    node = file.node("Cast")
    return file.feed(node, 0, file.make(node, "Transpose", node.input[0], perm=[0, 1, 3, 2]))


@fault(KIND, "convolutions", "colours are in the order blue, green, red")
def colours(file):
    node = file.node("Cast")
    return file.feed(node, 0, file.make(node, "Gather", node.input[0], file.constant(np.array([2, 1, 0])), axis=1))


@fault(KIND, "molecules", "edges lead one way")
def one_way(file):
    transposed = next(node for node in file.graph.node if node.output[0] == "transpose")
    return file.replace(transposed, "Identity", transposed.input[0])


@fault(KIND, "molecules", "nodes have no loops to themselves")
def no_loops(file):
    (node,) = [node for node in file.graph.node if node.op_type == "Add" and "_to_copy" in node.input[1]]
    return file.replace(node, "Identity", node.input[0])


@fault(KIND, "molecules", "of edges at one place the last counts, not their sum")
def last_edge(file):
    return file.set(file.node("ScatterND", -1), reduction="none")


@fault(KIND, "joint", "precision is the variance itself")
def precision(file):
    return file.replace(file.node("Neg"), "Identity")


@fault(KIND, "joint", "each of three subsets weighs a third, those with gaps too")
def subset_weights(file):
    divided = next(node for node in file.graph.node if node.output[0] == "div_5")
    return file.feed(divided, 1, file.constant(np.float32(3)))


@fault(KIND, "word probabilities", "probabilities of special words are at the end", fast=True)
def pad_behind(file):
    node = file.node("Pad")
    return file.feed(node, 1, file.constant(np.array([0, 0, 0, 2])))


@fault(
    KIND, "bag of words", "a linear layer is written as a product and a sum", equivalent="rounded alike or nearly so"
)
def gemm_in_two(file):
    node = file.node("Gemm")
    transposed = file.make(node, "Transpose", node.input[1], perm=[1, 0])
    product = file.make(node, "MatMul", node.input[0], transposed)
    return file.replace(node, "Add", product, node.input[2])


@fault(KIND, "LSTM", "tanh x is written as 2 sigmoid(2x) − 1", equivalent="the same function, rounded otherwise")
def tanh_by_sigmoid(file):
    node = file.node("Tanh", -1)
    two = file.constant(np.float32(2))
    wide = file.make(node, "Sigmoid", file.make(node, "Mul", node.input[0], two))
    return file.replace(node, "Sub", file.make(node, "Mul", wide, two), file.constant(np.float32(1)))
