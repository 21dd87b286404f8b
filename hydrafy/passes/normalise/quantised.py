"""Reads a quantised network as the network of floats that it approximates."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.signs import non_negative
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.replace import drop, plain

DOMAINS = ("", "com.microsoft")


@dataclass(frozen=True)
class DropQuantisation(Pass):
    """Pairs of QuantizeLinear and DequantizeLinear on results go; weights are floats already.

    Quantisers drop a Relu or a Clip where the numbers that can be stored begin at zero, since
    storing cuts off as it did, below and above. Which of both it was no file tells: such a pair
    becomes a Clip to what can be stored, unless its input is never negative or an image.
    """

    name: ClassVar[str] = "drop-quantisation"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, pairs = program.graph, 0
        clips: dict[tuple[ir.Value, float], ir.Node] = {}
        for last in [n for n in graph if n.op_type == "DequantizeLinear" and n.domain in DOMAINS]:
            first = last.inputs[0].producer() if last.inputs[0] is not None else None
            if first is None or not _are_pair(first, last):
                continue
            source = first.inputs[0]
            assert source is not None
            high = None if source.is_graph_input() else _largest(first)
            if high is not None:
                if (source, high) not in clips:
                    clips[source, high] = _clip(graph, source, high)
                    graph.insert_before(first, clips[source, high])
                source = clips[source, high].outputs[0]
            pairs += drop(last, source)
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        kept = _drop_idle(graph, list(clips.values()))
        if not pairs:
            return []
        notes = [f"{pairs} quantised results are floats: the network of the quantised weights"]
        if kept:
            notes.append(
                f"{kept} ranges from zero on, which act as a Relu or Clip that the quantiser "
                "dropped, became Clips"
            )
        return notes


def _clip(graph: ir.Graph, source: ir.Value, high: float) -> ir.Node:
    """Cuts off what is below zero, and what is above `high`."""
    name = f"{source.name}.clip"
    while f"{name}.low" in graph.initializers:  # stored twice, in other ranges
        name += ".other"
    ends = {"low": 0.0, "high": high}
    bounds = [build.weight(graph, f"{name}.{k}", np.array(v, np.float32)) for k, v in ends.items()]
    node = plain("Clip", [source, *bounds], name)
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


def _largest(node: ir.Node) -> float | None:
    """The largest number that a QuantizeLinear can store; None if the least one is not zero."""
    scale, zero = ([constant(v) for v in node.inputs[1:]] + [None])[:2]
    if scale is None or scale.size != 1 or (zero is not None and zero.size != 1):
        return None
    kind = ir.DataType.UINT8  # as ONNX has it
    if zero is not None:
        kind = ir.DataType.from_numpy(zero.dtype)
    elif (said := node.attributes.get_int("output_dtype", 0)) != 0:
        kind = ir.DataType(said)
    offset = 0.0 if zero is None else float(zero.item())
    if not kind.is_integer() or offset != kind.min:
        return None
    return float((np.float32(kind.max) - np.float32(offset)) * np.float32(scale.item()))


def _drop_idle(graph: ir.Graph, clips: list[ir.Node]) -> int:
    """Removes those whose input is never negative: nothing was dropped there; says what is left."""
    signs = non_negative(graph)
    kept = len(clips)
    for node in clips:
        source = node.inputs[0]
        if source is not None and source in signs:
            kept -= drop(node, source)
    return kept
