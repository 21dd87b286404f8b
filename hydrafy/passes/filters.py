"""Splits a convolution into several, each with some of its filters."""

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.joins import producer
from hydrafy.analysis.layers import group_count
from hydrafy.errors import ModelError
from hydrafy.ir import build
from hydrafy.ir.values import constant


def groups(graph: ir.Graph, value: ir.Value, count: int) -> list[ir.Value]:
    """What a convolution computes, and a BatchNormalization behind it, by groups of its filters."""
    if count == 1:
        return [value]
    node = producer(value)
    conv = node if node.op_type == "Conv" else node.inputs[0].producer() if node.inputs[0] else None
    weights = [] if conv is None else [constant(v) for v in conv.inputs[1:]]
    if (
        conv is None
        or conv.op_type != "Conv"
        or node.op_type not in ("Conv", "BatchNormalization")
        or group_count(conv) > 1
        or any(array is None or len(array) % count for array in weights)
    ):
        raise ModelError(
            f"the filters behind {value.name!r} cannot be gated in {count} groups: that takes a "
            f"convolution without groups of its own, with a multiple of {count} filters"
        )
    parts = [_narrow(graph, conv, number, count, conv.inputs[0]) for number in range(count)]
    if node is not conv:
        parts = [_narrow(graph, node, n, count, part) for n, part in enumerate(parts)]
    graph.remove(dict.fromkeys((node, conv)), safe=False)
    return parts


def _narrow(
    graph: ir.Graph, node: ir.Node, number: int, count: int, source: ir.Value | None
) -> ir.Value:
    """A copy of a node whose weights are those of one group of its filters."""
    weights = []
    for value in node.inputs[1:]:
        array = constant(value)
        assert array is not None and value is not None
        path, _, last = (value.name or "").rpartition(".")
        name = ".".join(filter(None, (path, f"filters.{number}", last)))
        weights.append(build.weight(graph, name, np.split(array, count)[number]))
    name = f"{node.name}.filters.{number}"
    twin = ir.Node("", node.op_type, [source, *weights], node.attributes.values(), name=name)
    twin.outputs[0].name = name
    build.infer(twin)
    graph.insert_before(node, twin)
    return twin.outputs[0]
