"""Cuts: the tensors that every path from the input to the output runs through."""

import onnx_ir as ir

from hydrafy.ir.program import Program
from hydrafy.ir.values import is_constant


def data_values(node: ir.Node) -> list[ir.Value]:
    """What a node reads of the data path: its inputs that are no constants, without repetition."""
    found = [v for v in node.inputs if v is not None and not is_constant(v)]
    return list(dict.fromkeys(found))


def cuts(program: Program) -> list[ir.Value]:
    """The cut tensors in topological order, the data input first, O(edges).

    A tensor is a cut exactly if it is the only live one right after it was produced. Only nodes
    that the prediction needs count; side paths (training outputs) do not.
    """
    output = program.graph.outputs[0]
    needed = _ancestors(output)
    nodes = [node for node in program.graph if node in needed]
    left: dict[ir.Value, int] = {}
    for node in nodes:
        for value in data_values(node):
            left[value] = left.get(value, 0) + 1
    live = set(program.data_inputs)
    found = list(live) if len(live) == 1 else []
    for node in nodes:
        for value in data_values(node):
            left[value] -= 1
            if not left[value]:
                live.discard(value)
        live |= {v for v in node.outputs if left.get(v) or v is output}
        if len(live) == 1:
            found.append(next(iter(live)))
    return found


def between(start: ir.Value, end: ir.Value) -> list[ir.Node]:
    """The nodes that compute cut `end` from cut `start`, in topological order.

    There are none where both are the same cut.
    """
    inside = _ancestors(end, stop=start)
    graph = end.graph
    assert graph is not None
    return [node for node in graph if node in inside]


def _ancestors(value: ir.Value, stop: ir.Value | None = None) -> set[ir.Node]:
    found: set[ir.Node] = set()
    stack = [] if value is stop else [value]
    while stack:
        producer = stack.pop().producer()
        if producer is None or producer in found:
            continue
        found.add(producer)
        stack += [v for v in data_values(producer) if v is not stop]
    return found
