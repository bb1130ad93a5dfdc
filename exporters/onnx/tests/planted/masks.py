"""What is padding, absent or masked counts, or what is not does not."""

import numpy as np

from planted.listing import fault

KIND = "masks"


@fault(KIND, "bag of words", "padding counts as words: the mean is over the whole length", fast=True)
def mean_of_padding(file):
    node = file.maker("sum_2")
    ones = file.make(node, "Cast", file.make(node, "Equal", "unsqueeze", "unsqueeze"), to=1)
    return file.feed(node, 0, ones)


@fault(KIND, "bag of words", "the mask is ignored", fast=True)
def ignored(file):
    node = file.maker("mul_7")
    return file.replace(node, "Identity", "embedding")


@fault(KIND, "bag of words", "the mask is inverted", fast=True)
def inverted(file):
    node = file.maker("_to_copy")
    return file.feed(node, 0, file.make(node, "Not", node.input[0]))


@fault(KIND, "transformer", "attention sees padding")
def attention_to_padding(file):
    node = next(node for node in file.graph.node if node.op_type == "Where")
    return file.feed(node, 2, node.input[1])


@fault(KIND, "speech", "attention sees padding alone")
def attention_inverted(file):
    node = next(node for node in file.graph.node if node.op_type == "Where" and "expand" in node.input[0])
    node.input[1], node.input[2] = node.input[2], node.input[1]
    return node.output[0]


@fault(KIND, "speech", "the sound behind its end is read")
def sound_behind_the_end(file):
    node = file.node("Where")
    return file.replace(node, "Identity", node.input[1])


@fault(KIND, "molecules", "nodes that are padding are counted in")
def padded_nodes(file):
    node = next(node for node in file.graph.node if node.op_type == "Mul" and "relu" in node.input[0])
    return file.replace(node, "Identity", node.input[0])


@fault(KIND, "molecules", "edges that are padding lead somewhere")
def padded_edges(file):
    node = next(node for node in file.graph.node if node.op_type == "And" and "molecule.edge_mask" in node.input)
    other = next(value for value in node.input if value != "molecule.edge_mask")
    return file.replace(node, "Identity", other)


@fault(
    KIND, "LSTM", "the lengths of texts are not given", equivalent="it reads forward and answers at a text's own end"
)
def no_lengths(file):
    node = file.node("LSTM")
    node.input[4] = ""
    return node.output[0]


@fault(KIND, "two-way LSTM", "the lengths of texts are not given")
def no_lengths_both_ways(file):
    node = file.node("LSTM")
    node.input[4] = ""
    return node.output[0]


@fault(KIND, "LSTM", "a text is read backward")
def backward(file):
    return file.set(file.node("LSTM"), direction="reverse")


@fault(KIND, "LSTM", "the answer is read one word before the last")
def before_the_last(file):
    node = file.maker("sub_11")
    return file.feed(node, 1, file.constant(np.int64(2)))


@fault(KIND, "LSTM", "a text without words is read as one word")
def no_words(file):
    node = file.maker("mul_26")
    return file.replace(node, "Identity", "squeeze")


@fault(
    KIND,
    "joint",
    "an absent input has a precision",
    equivalent="the subsets that it is part of weigh nothing in a mixture of products",
)
def absent_counts(file):
    node = file.user("neg", "Where")
    return file.replace(node, "Identity", "neg")


@fault(KIND, "joint", "the presence of the inputs is exchanged")
def presence_exchanged(file):
    node = file.maker("stack")
    node.input[0], node.input[1] = node.input[1], node.input[0]
    return node.output[0]


@fault(KIND, "joint", "a picture counts as present always")
def always_present(file):
    node = file.maker("stack")
    there = file.make(node, "Equal", node.input[0], node.input[0])
    return file.feed(node, 0, there)


@fault(
    KIND,
    "joint",
    "the pixels of an absent picture are read",
    equivalent="bytes hold no NaN, and what is made of them is set to zero behind the encoder again",
)
def absent_pixels(file):
    return file.replace(file.node("Where"), "Identity", file.node("Where").input[1])


@fault(KIND, "speech", "the features are those of the second place")
def second_place(file):
    return file.feed(file.maker("select"), 1, file.constant(np.int64(1)))
