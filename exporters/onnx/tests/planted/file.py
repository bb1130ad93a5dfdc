"""An ONNX file under the hands of someone who spoils it."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper


@dataclass
class File:
    """A model, its parts found by operation, by weight and by the names of values. Every change returns a value."""

    model: onnx.ModelProto
    added: int = 0

    @property
    def graph(self):
        return self.model.graph

    def node(self, operation, place=0):
        """Return one of the nodes of an operation, in the file's order."""
        return [node for node in self.graph.node if node.op_type == operation][place]

    def maker(self, value):
        """Return the node that makes a value."""
        return next(node for node in self.graph.node if value in node.output)

    def users(self, value):
        """Return the nodes that read a value."""
        return [node for node in self.graph.node if value in node.input]

    def user(self, value, operation):
        """Return the first node of an operation that reads a value."""
        return next(node for node in self.users(value) if node.op_type == operation)

    def weight(self, ending):
        """Return the tensor of a weight whose name ends so."""
        return next(tensor for tensor in self.graph.initializer if tensor.name.endswith(ending))

    def array(self, ending):
        """Return the numbers of a weight or constant, to be changed."""
        return numpy_helper.to_array(self.weight(ending)).copy()

    def put(self, ending, array):
        """Give a weight or constant other numbers; return its name."""
        tensor = self.weight(ending)
        tensor.CopyFrom(
            numpy_helper.from_array(array.astype(helper.tensor_dtype_to_np_dtype(tensor.data_type)), tensor.name)
        )
        return tensor.name

    def constant(self, array):
        """Add a constant."""
        self.added += 1
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(array), f"planted_constant_{self.added}"))
        return self.graph.initializer[-1].name

    def set(self, node, **attributes):
        """Set attributes of a node; None removes one."""
        kept = [attribute for attribute in node.attribute if attribute.name not in attributes]
        del node.attribute[:]
        node.attribute.extend(kept)
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items() if v is not None)
        return node.output[0]

    def feed(self, node, place, value):
        """Give a node another input."""
        node.input[place] = value
        return node.output[0]

    def make(self, before, operation, *inputs, **attributes):
        """Insert a node in front of another; return its value."""
        self.added += 1
        made = helper.make_node(
            operation, list(inputs), [f"planted_{self.added}"], f"planted_node_{self.added}", **attributes
        )
        self.graph.node.insert(list(self.graph.node).index(before), made)
        return made.output[0]

    def after(self, value, operation, *others, first=True, **attributes):
        """Put an operation behind a value, whatever reads it: the value keeps its name and is now what is made of it.

        The value is the first of the operation's inputs, or else the last.
        """
        maker = self.maker(value)
        self.added += 1
        raw = f"planted_{value}_{self.added}"
        maker.output[list(maker.output).index(value)] = raw
        inputs = [raw, *others] if first else [*others, raw]
        made = helper.make_node(operation, inputs, [value], f"planted_node_{self.added}", **attributes)
        self.graph.node.insert(list(self.graph.node).index(maker) + 1, made)
        return value

    def replace(self, node, operation, *inputs, **attributes):
        """Put another operation in the place of a node."""
        made = helper.make_node(operation, list(inputs) or list(node.input), list(node.output), node.name, **attributes)
        node.CopyFrom(made)
        return node.output[0]
