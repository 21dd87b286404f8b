"""Which nodes compute predictions; the others compute decisions and where rows lie."""

import onnx_ir as ir

from hydrafy.ir.program import Program

_MEASURED = frozenset({
    ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.INT8, ir.DataType.UINT8,
})  # fmt: skip


def predicting(program: Program) -> set[ir.Node]:
    """The nodes from whose floats, or quantised ones, a prediction is computed; at any stage.

    What makes a bool or a number of a row of floats decides, it does not predict: the scores of a
    gate and what leads to them alone are not among the nodes. Those in regions of an If are.
    """
    manifest = program.manifest
    waiting = [v for v in program.graph.outputs if manifest.role(v.name or "") == "prediction"]
    found: set[ir.Node] = set()
    while waiting:
        value = waiting.pop()
        node = value.producer()
        if node is None or node in found or value.dtype not in _MEASURED:
            continue
        found.add(node)
        waiting += [v for v in node.inputs if v is not None]
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                waiting += list(attribute.as_graph().outputs)
    return found
