"""Which nodes compute predictions; of the others, those with floats only lead to decisions."""

import onnx_ir as ir

from hydrafy.ir.program import Program


def predicting(program: Program) -> set[ir.Node]:
    """The nodes from whose floats a prediction is computed, of a program of any stage.

    What makes a bool or an integer of floats decides, it does not predict: the scores of a gate and
    what leads to them alone are not among the nodes. Those in regions of an If are.
    """
    manifest = program.manifest
    waiting = [v for v in program.graph.outputs if manifest.role(v.name or "") == "prediction"]
    found: set[ir.Node] = set()
    while waiting:
        value = waiting.pop()
        node = value.producer()
        if node is None or node in found or value.dtype != ir.DataType.FLOAT:
            continue
        found.add(node)
        waiting += [v for v in node.inputs if v is not None]
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                waiting += list(attribute.as_graph().outputs)
    return found
