"""Keeps images in onnxruntime's blocked layout from one region to the next."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.targets.layout import BLOCKED, Twin, Twins, filled, rule


@dataclass(frozen=True)
class KeepBlocked(Pass):
    """Lets every op that does not care compute in the blocked layout, regions and rows included.

    onnxruntime turns the result of a blocked kernel back by a ReorderOutput where a region ends,
    and what the next region reads by a ReorderInput. Here each ReorderOutput moves towards the
    outputs, past sums, activations, pooling, gathered and scattered rows and the ends of Ifs,
    until it meets a ReorderInput: the two are nothing.

    Args:
        block: channels in a block, 8 or 16.
    """

    name: ClassVar[str] = "keep-blocked"
    block: int

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        before = _changes(program)
        _walk(program.graph, {}, self.block)
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        return [f"{_changes(program)} changes of layout are left of {before}"]


def _changes(program: Program) -> int:
    return sum(n.op_type in ("ReorderInput", "ReorderOutput") for n in program.graph.all_nodes())


def _walk(graph: ir.Graph, twins: Twins, block: int) -> None:
    for node in list(graph):
        if node.op_type == "If":
            _end_blocked(graph, node, twins, block)
        elif _is_change(node, "ReorderOutput"):
            _know(node, twins, block)
        elif _is_change(node, "ReorderInput"):
            source = node.inputs[0]
            if source in twins:
                node.outputs[0].replace_all_uses_with(twins[source].value)
        else:
            _move_past(graph, node, twins, block)


def _know(change: ir.Node, twins: Twins, block: int) -> None:
    """Notes what a ReorderOutput turns back; one number of each channel is the same either way."""
    blocked, plain = change.inputs[0], change.outputs[0]
    assert blocked is not None
    twin = Twin(blocked, change.attributes["channels"].as_int())
    twins[plain] = twin
    of_region = change.graph is not None and not change.graph.inputs
    same = plain.shape is not None and plain.shape[2:] == (1, 1) and not twin.channels % block
    if same and (of_region or not plain.is_graph_output()):  # whose name is known outside
        twins[blocked] = twin
        plain.replace_all_uses_with(blocked, replace_graph_outputs=True)


def _is_change(node: ir.Node, op_type: str) -> bool:
    last = node.attributes.get_int("channels_last", 0)  # [N, H, W, C] on the plain side
    return node.domain == BLOCKED and node.op_type == op_type and not last


def _move_past(graph: ir.Graph, node: ir.Node, twins: Twins, block: int) -> None:
    """`op(ReorderOutput(x))` becomes `ReorderOutput(op(x))`, where that is the same."""
    moved = rule(node)(node, twins, block)
    if moved is None:
        return
    for place, value in enumerate(node.inputs):
        if value in twins:
            node.replace_input_with(place, twins[value].value)
        elif place in moved.turned:
            change = ir.Node(BLOCKED, "ReorderInput", [value], name=f"{node.name}.blocked.{place}")
            change.outputs[0].name = change.name
            change.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
            graph.insert_before(node, change)
            node.replace_input_with(place, change.outputs[0])
    node.domain = moved.domain
    _turn_back(graph, node, node.outputs[0], moved.channels, twins, block)


def _turn_back(
    graph: ir.Graph, node: ir.Node, out: ir.Value, channels: int, twins: Twins, block: int
) -> None:
    """Puts a ReorderOutput behind a result of `node` that has become blocked."""
    attributes = ir.convenience.convert_attributes({"channels": channels})
    change = ir.Node(BLOCKED, "ReorderOutput", [], attributes, num_outputs=1)
    plain = change.outputs[0]
    plain.type, plain.shape, plain.name = out.type, out.shape, out.name
    out.name = change.name = f"{plain.name}.blocked"
    if out.shape is not None:
        out.shape = filled(out.shape, block)
    out.replace_all_uses_with(plain, replace_graph_outputs=True)
    change.resize_inputs(1)
    change.replace_input_with(0, out)
    graph.insert_after(node, change)
    _know(change, twins, block)


def _end_blocked(graph: ir.Graph, node: ir.Node, twins: Twins, block: int) -> None:
    """Lets an If return blocked values where both of its regions end in such, or in zeros."""
    regions = [a.as_graph() for a in node.attributes.values() if a.type == ir.AttributeType.GRAPH]
    for region in regions:
        _walk(region, twins, block)
    for place, out in enumerate(list(node.outputs)):
        ends = [region.outputs[place] for region in regions]
        known = {twins[end].channels for end in ends if end in twins}
        if len(known) != 1 or not all(end in twins or _is_nothing(end) for end in ends):
            continue
        for region, end in zip(regions, ends, strict=True):
            region.outputs[place] = twins[end].value if end in twins else _zeros(region, end, block)
        _turn_back(graph, node, out, known.pop(), twins, block)


def _is_nothing(value: ir.Value) -> bool:
    array = constant(value)
    return array is not None and not array.any()


def _zeros(region: ir.Graph, end: ir.Value, block: int) -> ir.Value:
    """Zeros, or no rows at all, in the blocked layout."""
    array = constant(end)
    assert array is not None
    if array.ndim != 4:
        return end
    shape = filled(ir.Shape(array.shape), block)
    return build.weight(region, f"{end.name}.blocked", np.zeros(shape.numpy(), array.dtype))
