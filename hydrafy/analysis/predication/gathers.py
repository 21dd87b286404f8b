"""Gathers: by which gathers of rows a value of a lowered program came from the whole batch."""

import onnx_ir as ir

from hydrafy.ir.program import Program

Way = tuple[ir.Node, ...]

LOST = frozenset({"NonZero", "Size"})
"""What they make of rows counts something else than these rows."""


def gathers(program: Program) -> dict[ir.Value, Way]:
    """For each value with rows, at any depth: the nodes that gathered them, the first one first.

    No nodes where its rows are those of the images. Where an If chose the rows within one of its
    branches, nothing outside can tell which, and its results are left out.
    """
    found: dict[ir.Value, Way] = {v: () for v in program.data_inputs if _has_rows(v)}
    _follow(program.graph, found)
    return found


def _follow(graph: ir.Graph, found: dict[ir.Value, Way]) -> None:
    for node in graph:
        inner = [a.as_graph() for a in node.attributes.values() if _is_graph(a)]
        for one in inner:
            _follow(one, found)
        if inner:
            _results(node, inner, found)
            continue
        way = next((found[v] for v in node.inputs if v in found), None)
        if way is None or node.op_type in LOST:
            continue
        way = (*way, node) if picks_rows(node) else way
        found.update(dict.fromkeys(node.outputs, way))


def _results(node: ir.Node, inner: list[ir.Graph], found: dict[ir.Value, Way]) -> None:
    for place, out in enumerate(node.outputs):
        ways = [found.get(graph.outputs[place]) for graph in inner]
        way = next((w for w in ways if w is not None), None)
        if way is not None and not any(step.graph in inner for step in way):
            found[out] = way


def _has_rows(value: ir.Value) -> bool:
    """Whether a value has a row for each image, or for the one image that a file is made for."""
    return value.shape is not None and value.shape.rank() > 0


def picks_rows(node: ir.Node) -> bool:
    """Whether a node picks some of the rows of its first input."""
    if node.op_type == "Gather":
        data = node.inputs[0]
        axis = node.attributes.get_int("axis", 0)
        return axis == 0 and data is not None and data.dtype == ir.DataType.FLOAT
    return node.op_type in ("GatherND", "Compress")


def _is_graph(attribute: ir.Attr) -> bool:
    return attribute.type == ir.AttributeType.GRAPH
