"""What the normalise passes ask and change of one node: its weights, readers, attributes."""

import numpy as np
import onnx_ir as ir

from hydrafy.ir import build
from hydrafy.ir.values import constant


def set_constant(graph: ir.Graph, node: ir.Node, place: int, array: np.ndarray) -> None:
    """Lets a node read `array` at an input, under the old weight's name if no other node reads it.

    Inputs between the present ones and this one are left out.
    """
    if place >= len(node.inputs):
        node.resize_inputs(place + 1)
    old = node.inputs[place]
    name = f"{node.outputs[0].name}.input{place}"
    if old is not None and constant(old) is not None and len(old.uses()) == 1:
        name = old.name or name
        graph.initializers.pop(name)
    node.replace_input_with(place, build.weight(graph, name, array))


def only_reader(value: ir.Value) -> ir.Node | None:
    """The node that alone reads a value; None if there are more, or none, or it is an output."""
    if len(value.uses()) != 1 or value.is_graph_output():
        return None
    return next(iter(value.uses())).node


def integers(node: ir.Node, name: str, default: list[int]) -> list[int]:
    """The value of an attribute that is a list of integers."""
    return list(node.attributes[name].as_ints()) if name in node.attributes else default
