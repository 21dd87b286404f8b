"""Removes what computes nothing at inference: Identity, Dropout, full Slices, factors of one."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.replace import drop

NEUTRAL = {"Add": 0, "Div": 1, "Mul": 1, "Sub": 0}
FAR = 2**31 - 1  # how exporters write "to the end" of a dimension that is open


@dataclass(frozen=True)
class RemoveIdentities(Pass):
    """What computes nothing gives way to its input; unused nodes and weights go.

    That is Identity, Dropout, a Cast to the type at hand, a Pad by nothing, a factor of one, and a
    Slice that takes everything: the dynamo exporter writes one along the batch for each
    `x[:, :, ::2, ::2]`. It also writes a bias of zeros for a convolution without one, which goes
    where a BatchNormalization follows.
    """

    name: ClassVar[str] = "remove-identities"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph = program.graph
        before, biases = len(graph), 0
        for node in list(graph):
            if _is_idle_bias(node):
                node.resize_inputs(2)
                biases += 1
                continue
            source = _passed_on(node) if node.domain == "" else None
            if source is not None and not _mask_is_used(node):
                drop(node, source)
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        gone = before - len(graph)
        notes = [f"{gone} nodes that compute nothing went"] if gone else []
        return [*notes, f"{biases} biases of zeros went"] if biases else notes


def _passed_on(node: ir.Node) -> ir.Value | None:
    """The input that is a node's result as it stands; None if the node computes something."""
    source = node.inputs[0] if node.inputs else None
    if node.op_type in NEUTRAL:
        return _other_operand(node, NEUTRAL[node.op_type])
    if node.op_type == "Cast":
        same = source is not None and source.dtype == node.attributes["to"].as_int()
        return source if same else None
    if node.op_type == "Pad":
        pads = constant(node.inputs[1])
        return source if pads is not None and not pads.any() else None
    return source if node.op_type in ("Identity", "Dropout") or _takes_everything(node) else None


def _other_operand(node: ir.Node, neutral: float) -> ir.Value | None:
    """What is beside a neutral number, which must not come first in a Div or a Sub."""
    pairs = [(node.inputs[0], node.inputs[1])]
    if node.op_type in ("Add", "Mul"):
        pairs.append((node.inputs[1], node.inputs[0]))
    for kept, number in pairs:
        array = constant(number)
        if array is None or kept is None or kept.shape is None or array.ndim > kept.shape.rank():
            continue
        if array.size == 1 and array.item() == neutral:
            return kept
    return None


def _takes_everything(node: ir.Node) -> bool:
    source = node.inputs[0] if node.op_type == "Slice" else None
    arrays = [constant(v) for v in node.inputs[1:]]
    if source is None or source.shape is None or any(a is None or a.ndim != 1 for a in arrays):
        return False
    starts, ends, *rest = (np.asarray(a) for a in arrays)
    axes = rest[0] if rest else np.arange(len(starts))
    steps = rest[1] if len(rest) > 1 else np.ones_like(starts)
    sizes = [d if isinstance(d, int) else FAR for d in source.shape]
    if any(len(a) != len(starts) for a in (ends, axes, steps)) or not _are_axes(axes, len(sizes)):
        return False  # refused later, where nodes are checked
    return all(
        start == 0 and step == 1 and end >= sizes[axis]
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True)
    )


def _are_axes(numbers: np.ndarray, rank: int) -> bool:
    return all(-rank <= number < rank for number in numbers)


def _is_idle_bias(node: ir.Node) -> bool:
    if node.op_type != "Conv" or len(node.inputs) < 3:
        return False
    bias, readers = constant(node.inputs[2]), node.outputs[0].consumers()
    normalised = [user.op_type for user in readers] == ["BatchNormalization"]
    return bias is not None and not bias.any() and normalised


def _mask_is_used(node: ir.Node) -> bool:
    return any(v.uses() or v.is_graph_output() for v in node.outputs[1:])
