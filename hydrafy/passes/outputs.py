"""Outputs of a graph that change their values and keep their names."""

import onnx_ir as ir


def take_over(graph: ir.Graph, old: ir.Value, new: ir.Value, name: str) -> None:
    """Puts a value in another one's place, under its name, wherever that is an output.

    Args:
        graph: what both are of.
        old: the other one.
        new: what is an output in its place; where it is none, both names stay.
        name: what the old one is called then.
    """
    if not old.is_graph_output():
        return
    new.name, old.name = old.name, name
    graph.outputs[:] = [new if value is old else value for value in graph.outputs]
