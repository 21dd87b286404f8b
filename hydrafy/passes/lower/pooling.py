"""Pools inside of the regions whose sum is pooled: less is computed, and less is carried out."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.layers import is_pointwise
from hydrafy.ir import build, ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.regions import replace


@dataclass(frozen=True)
class PoolInside(Pass):
    """`GAP(sum_b Select(p_b, conv1x1(h_b), 0))` becomes `sum_b Select(p_b, conv1x1(GAP(h_b)), 0)`.

    Global average pooling is linear and acts on each channel alone, so it may go before a sum, a
    Select with nothing on its other side, a scalar factor, and a 1x1 convolution.
    """

    name: ClassVar[str] = "pool-inside"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, notes = program.graph, []
        for pool in [node for node in graph if node.op_type == "GlobalAveragePool"]:
            total, factor = _summed(pool.inputs[0])
            if total is None or not all(_is_optional(v) for v in total.inputs):
                continue
            _rewrite(graph, pool, total, factor)
            notes.append(f"{pool.name!r} went before the sum {total.name!r}")
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        return notes


def _alone(value: ir.Value | None) -> ir.Node | None:
    """What computes a value that is used once."""
    if value is None or len(value.uses()) != 1 or value.is_graph_output():
        return None
    return value.producer()


def _summed(value: ir.Value | None) -> tuple[ir.Node | None, ir.Node | None]:
    """The Sum that a value is, and the Mul by a scalar that stands behind it, if any."""
    node, factor = _alone(value), None
    if node is not None and node.op_type == "Mul":
        scalar = constant(node.inputs[1])
        if scalar is not None and scalar.size == 1:
            node, factor = _alone(node.inputs[0]), node
    return (node, factor) if node is not None and node.op_type == "Sum" else (None, None)


def _is_optional(value: ir.Value | None) -> bool:
    """Whether a value is a Select of something or nothing."""
    node = _alone(value)
    other = constant(node.inputs[2]) if node is not None and ops.is_select(node) else None
    return other is not None and other.size == 1 and not other.any()


def _rewrite(graph: ir.Graph, pool: ir.Node, total: ir.Node, factor: ir.Node | None) -> None:
    pooled = []
    for value in total.inputs:
        select = value.producer() if value is not None else None
        assert select is not None
        pred, a, nothing = select.inputs
        assert a is not None
        twin = build.op(
            "Select",
            [pred, _pool(graph, select, a), nothing],
            f"{select.name}.pooled",
            domain=ops.DOMAIN,
        )
        graph.insert_before(total, twin)
        pooled.append(twin.outputs[0])
    node = build.op("Sum", pooled, f"{total.name}.pooled")
    graph.insert_before(total, node)
    if factor is not None:
        inputs = [node.outputs[0], factor.inputs[1]]
        node = build.op("Mul", inputs, f"{factor.name}.pooled")
        graph.insert_before(total, node)
    replace(graph, pool, node.outputs[0])


def _pool(graph: ir.Graph, before: ir.Node, a: ir.Value) -> ir.Value:
    conv = _alone(a)
    conv = conv if conv is not None and is_pointwise(conv) else None
    source = conv.inputs[0] if conv is not None else a
    pool = build.op("GlobalAveragePool", [source], f"{a.name}.pool")
    graph.insert_before(before, pool)
    if conv is None:
        return pool.outputs[0]
    inputs = [pool.outputs[0], *conv.inputs[1:]]
    twin = build.op("Conv", inputs, f"{conv.name}.pooled", kernel_shape=[1, 1])
    graph.insert_before(before, twin)
    return twin.outputs[0]
