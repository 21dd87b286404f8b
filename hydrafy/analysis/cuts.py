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
    that the prediction needs count, and that the images reach; side paths (training outputs,
    thresholds) do not.
    """
    output = program.graph.outputs[0]
    live = set(program.data_inputs)
    nodes = _behind(program.graph, live, _ancestors(output))
    fed = live.union(v for node in nodes for v in node.outputs)
    read = {node: [v for v in data_values(node) if v in fed] for node in nodes}
    left: dict[ir.Value, int] = {}
    for node in nodes:
        for value in read[node]:
            left[value] = left.get(value, 0) + 1
    found = list(live) if len(live) == 1 else []
    for node in nodes:
        for value in read[node]:
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
    graph = end.graph
    assert graph is not None
    return _behind(graph, {start}, _ancestors(end, stop=start))


def _behind(graph: ir.Graph, values: set[ir.Value], among: set[ir.Node]) -> list[ir.Node]:
    """Those of some nodes that follow from values, in topological order."""
    reached, found = set(values), []
    for node in graph:
        if node in among and not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
            found.append(node)
    return found


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
