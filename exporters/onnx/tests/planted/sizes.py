"""What the export saw is written into the file: a batch, a length, a size."""

import numpy as np

from planted.listing import fault

KIND = "sizes"


@fault(KIND, "convolutions", "the batch of the export is fixed in a reshape")
def batch_in_reshape(file):
    return file.feed(file.node("Reshape", -1), 1, file.constant(np.array([2, 128])))


@fault(KIND, "picture decoder", "the batch of the export is fixed in a reshape")
def batch_in_view(file):
    node = file.user("silu", "Reshape")
    return file.feed(node, 1, file.constant(np.array([2, 128, 4, 4])))


@fault(KIND, "transformer", "the length of the export is fixed in a reshape")
def length_in_reshape(file):
    node = next(node for node in file.graph.node if node.op_type == "Reshape" and node.output[0].startswith("view"))
    return file.feed(node, 1, file.constant(np.array([0, 9, 3, 4, 8])))


@fault(KIND, "bag of words", "words behind the length of the export are dropped without a word", fast=True)
def cut_at_length(file):
    ends = [file.constant(np.array([number])) for number in (0, 9, 1)]
    file.after("unsqueeze", "Slice", *ends)
    return file.after("embedding", "Slice", *ends)


@fault(KIND, "convolutions", "the height of the export is fixed in the resize")
def height_in_range(file):
    return file.feed(file.node("Range"), 1, file.constant(np.int64(68)))


@fault(KIND, "bag of words", "the number of words of the export's texts is a constant", fast=True)
def folded_count(file):
    node = file.maker("clamp")
    return file.replace(node, "Identity", file.constant(np.array([[9.0], [4.0]], np.float32)))


@fault(KIND, "speech", "the last place of every sequence is dropped")
def last_place(file):
    ends = [file.constant(np.array([number])) for number in (0, -1, 2)]
    return file.after("transpose", "Slice", ends[0], ends[1], file.constant(np.array([1])))


@fault(KIND, "bag of words", "rows behind the 32nd are wrong", fast=True)
def many_rows(file):
    output = file.graph.output[0].name
    node = file.maker(output)
    batch = file.make(node, "Gather", file.make(node, "Shape", "linear"), file.constant(np.int64(0)))
    above = file.make(node, "Greater", batch, file.constant(np.int64(32)))
    shift = file.make(node, "Where", above, file.constant(np.float32(1e-3)), file.constant(np.float32(0)))
    return file.after(output, "Add", shift)


@fault(KIND, "bag of words", "the first row is taken for all", fast=True)
def first_row(file):
    node = file.maker("layer_norm")
    first = file.make(node, "Gather", node.input[0], file.constant(np.array([0])), axis=0)
    return file.feed(node, 0, file.make(node, "Expand", first, file.make(node, "Shape", node.input[0])))


@fault(KIND, "convolutions", "rows are normalised by the length of all rows together")
def norm_of_all(file):
    node = file.maker("sum_3")
    return file.feed(node, 1, file.constant(np.array([0, 1])))


@fault(KIND, "two-way LSTM", "a sequence is reversed at the export's length")
def reversed_at_length(file):
    node = file.node("LSTM")
    order = file.constant(np.array([8, 7, 6, 5, 4, 3, 2, 1, 0]))
    reordered = file.make(node, "Gather", node.input[0], order, axis=0)
    file.feed(node, 0, reordered)
    return reordered


@fault(KIND, "speech", "the sound is cut at one second")
def one_second(file):
    ends = [file.constant(np.array([number])) for number in (0, 8000, 1)]
    node = file.node("Where")
    shorter = file.make(node, "Slice", node.input[1], *ends)
    length = file.make(node, "Shape", node.input[1])
    missing = file.make(node, "Sub", length, file.make(node, "Shape", shorter))
    padded = file.make(
        node, "Pad", shorter, file.make(node, "Concat", file.constant(np.array([0, 0])), missing, axis=0)
    )
    return file.feed(node, 1, padded)
