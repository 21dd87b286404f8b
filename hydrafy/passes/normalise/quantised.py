"""Reads a quantised network as the network of floats that it approximates."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.signs import non_negative
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.replace import give_way, plain

DOMAINS = ("", "com.microsoft")


@dataclass(frozen=True)
class DropQuantisation(Pass):
    """Pairs of QuantizeLinear and DequantizeLinear on results go; weights are floats already.

    Quantisers drop a Relu where the least number that can be stored is zero, since storing does
    the same: such a pair becomes a Relu again, unless its input is never negative or an image.
    """

    name: ClassVar[str] = "drop-quantisation"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, pairs = program.graph, 0
        relus: dict[ir.Value, ir.Node] = {}
        for last in [n for n in graph if n.op_type == "DequantizeLinear" and n.domain in DOMAINS]:
            first = last.inputs[0].producer() if last.inputs[0] is not None else None
            if first is None or not _are_pair(first, last):
                continue
            source = first.inputs[0]
            assert source is not None
            if _cuts_at_zero(first) and not source.is_graph_input():
                if source not in relus:
                    relus[source] = _relu(source)
                    graph.insert_before(first, relus[source])
                source = relus[source].outputs[0]
            if give_way(last.outputs[0], source):
                graph.remove(last, safe=True)
                pairs += 1
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        kept = _drop_idle(graph, list(relus.values()))
        if not pairs:
            return []
        notes = [f"{pairs} quantised results are floats: the network of the quantised weights"]
        return [*notes, f"{kept} Relus that quantising had taken over are back"] if kept else notes


def _relu(source: ir.Value) -> ir.Node:
    node = plain("Relu", [source], f"{source.name}.relu")
    node.outputs[0].type, node.outputs[0].shape = source.type, source.shape
    return node


def _are_pair(first: ir.Node, last: ir.Node) -> bool:
    """Whether the second node undoes the first: same scale, same zero point."""
    if first.op_type != "QuantizeLinear" or first.domain not in DOMAINS:
        return False
    for one, other in zip(first.inputs[1:], last.inputs[1:], strict=False):
        a, b = constant(one), constant(other)
        if one is not other and (a is None or b is None or not np.array_equal(a, b)):
            return False
    return len(first.inputs) == len(last.inputs)


def _cuts_at_zero(node: ir.Node) -> bool:
    """Whether the least number that a QuantizeLinear can store is zero."""
    zero = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if zero is None:
        return len(node.inputs) < 3  # uint8 from zero on
    return bool(np.issubdtype(zero.dtype, np.integer) and (zero == np.iinfo(zero.dtype).min).all())


def _drop_idle(graph: ir.Graph, relus: list[ir.Node]) -> int:
    """Removes those whose input is never negative; the number that is left."""
    signs = non_negative(graph)
    kept = len(relus)
    for node in relus:
        source = node.inputs[0]
        if source is not None and source in signs and give_way(node.outputs[0], source):
            graph.remove(node, safe=True)
            kept -= 1
    return kept
