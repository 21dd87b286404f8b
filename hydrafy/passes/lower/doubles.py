"""Gives each side of a choice its own copy of what both sides need, and nothing else does."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.analysis.predication.need import SIDES, region
from hydrafy.analysis.rows import is_batched
from hydrafy.ir import build, ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass

ROOM = 1 / 8  # of the weights: what the copies may take


Sides = dict[str, set[ir.Node]]


@dataclass(frozen=True)
class DoubleShared(Pass):
    """Where one side or the other runs, a convolution that only these two use stands in both.

    So it is fused there with what follows: that of a shortcut takes in the block's sum on one side,
    and its Relu on the other. It costs a second copy of its weights. Selects whose predicate has a
    value for each sample keep it outside: both of their sides may run.
    """

    name: ClassVar[str] = "double-shared"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, notes = program.graph, []
        room = program.weight_bytes() * ROOM
        for select in [node for node in graph if ops.is_select(node)]:
            pred = select.inputs[0]
            if pred is None or is_batched(pred):
                continue
            inside = {side: set(region(select, side)) for side in SIDES}
            for conv in _shared(select, inside):
                if _bytes(conv) <= room:
                    room -= _bytes(conv)
                    _double(graph, conv, select, inside)
                    notes.append(f"{conv.name!r} stands on both sides of {select.name!r}")
        return notes


def _shared(select: ir.Node, inside: Sides) -> list[ir.Node]:
    """The convolutions that are used on both sides of a Select, and nowhere else."""
    readers = {select, *inside["a"], *inside["b"]}
    read = (value.producer() for node in readers for value in node.inputs if value is not None)
    return [
        node
        for node in dict.fromkeys(read)
        if node is not None
        and node.op_type == "Conv"
        and not node.outputs[0].is_graph_output()
        and {_side(u.node, u.idx, select, inside) for u in node.outputs[0].uses()} == set(SIDES)
    ]


def _side(reader: ir.Node, place: int, select: ir.Node, inside: Sides) -> str | None:
    """On which side of a Select an input of a node lies."""
    if reader is select:
        return next((side for side, slot in SIDES.items() if slot == place), None)
    return next((side for side in SIDES if reader in inside[side]), None)


def _bytes(node: ir.Node) -> int:
    arrays = [constant(value) for value in node.inputs]
    return sum(array.nbytes for array in arrays if array is not None)


def _double(graph: ir.Graph, conv: ir.Node, select: ir.Node, inside: Sides) -> None:
    """Lets the second side of a Select read a copy of a convolution, with weights of its own."""
    old, own = conv.outputs[0], dict[ir.Value, ir.Value]()
    for value in conv.inputs:
        array = constant(value)
        if value is not None and array is not None:
            own[value] = build.weight(graph, f"{conv.name}.double.{value.name}", array)
    (twin,) = build.copy([conv], own, lambda name: f"{name}.double")
    graph.insert_after(conv, twin)
    for use in list(old.uses()):
        if _side(use.node, use.idx, select, inside) == "b":
            use.node.replace_input_with(use.idx, twin.outputs[0])
