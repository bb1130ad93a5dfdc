"""Answers of another form, or under another name, than was declared."""

from onnx import TensorProto

from planted.listing import fault

KIND = "outputs"


def returned(file, name, operation, dtype, **attributes):
    """Put an operation behind an output, whose dtype it changes."""
    file.after(name, operation, **attributes)
    next(output for output in file.graph.output if output.name == name).type.tensor_type.elem_type = dtype
    return name


@fault(KIND, "bag of words", "an answer of float64", fast=True)
def float64(file):
    name = file.graph.output[0].name
    return returned(file, name, "Cast", TensorProto.DOUBLE, to=TensorProto.DOUBLE)


@fault(KIND, "word probabilities", "an answer without the batch axis when there is one row", fast=True)
def squeezed(file):
    name = file.graph.output[0].name
    del file.graph.output[0].type.tensor_type.shape.dim[:]
    file.graph.output[0].type.tensor_type.ClearField("shape")
    return file.after(name, "Squeeze")


@fault(KIND, "joint", "two answers of one shape are exchanged")
def exchanged(file):
    first, second = (file.maker(output.name) for output in file.graph.output)
    first.output[0], second.output[0] = second.output[0], first.output[0]
    return file.graph.output[0].name


@fault(KIND, "joint", "an answer bears another name")
def renamed(file):
    output = file.graph.output[1]
    file.maker(output.name).output[0] = "embed.variance"
    output.name = "embed.variance"
    return "embed.log_var"


@fault(KIND, "picture decoder", "a picture with its axes exchanged")
def axes_exchanged(file):
    return file.after(file.graph.output[0].name, "Transpose", perm=[0, 1, 3, 2])


@fault(KIND, "two-way LSTM", "the two directions are exchanged")
def directions(file):
    node = file.node("Concat", -1)
    node.input[0], node.input[1] = node.input[1], node.input[0]
    return node.output[0]
