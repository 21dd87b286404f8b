"""Merge: a Select takes in what stands around it, so that its regions hold whole fused kernels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.need import region
from hydrafy.analysis.signs import non_negative
from hydrafy.ir import build, ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.regions import replace


@dataclass(frozen=True)
class Merge(Pass):
    """Algebra around Selects, until nothing is left to merge.

    - `Add(x, Select(p, a, 0))` is `Select(p, Add(x, a), x)`.
    - `Relu(Select(p, a, b))` is `Select(p, Relu(a), b)` where b is proved to be no negative number.
    - Where p holds, `Select(p, c, d)` is c, and elsewhere d: so a Select whose side reads another
      one of the same predicate reads through it, and both become one region.
    """

    name: ClassVar[str] = "merge"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes: list[str] = []
        while found := [note for rule in (_sums, _relus, _chains) for note in rule(program)]:
            notes += found
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        return notes


def _sums(program: Program) -> Iterator[str]:
    """A Select of something or nothing takes in the sum that it is added to."""
    graph = program.graph
    for add in [node for node in graph if node.op_type == "Add"]:
        for place, value in enumerate(add.inputs):
            select, x = _alone(value), add.inputs[1 - place]
            if select is None or x is None or not _nothing(select.inputs[2]):
                continue
            pred, a, _ = select.inputs
            if a is None or a.shape != x.shape or x.shape != add.outputs[0].shape:
                continue
            inside = build.op("Add", [x, a], f"{add.name}.inside")
            graph.insert_before(add, inside)
            twin = _select(pred, inside.outputs[0], x, f"{select.name}.merged")
            graph.insert_before(add, twin)
            replace(graph, add, twin.outputs[0])
            graph.remove(select, safe=True)
            yield f"{select.name!r} took in {add.name!r}"
            break


def _relus(program: Program) -> Iterator[str]:
    """A Select takes in a Relu that does nothing to its other side."""
    graph, signs = program.graph, non_negative(program.graph)
    for relu in [node for node in graph if node.op_type == "Relu"]:
        select = _alone(relu.inputs[0])
        if select is None:
            continue
        pred, a, b = select.inputs
        if b is None or not (_nothing(b) or b in signs):
            continue
        inside = build.op("Relu", [a], f"{relu.name}.inside")
        graph.insert_before(relu, inside)
        twin = _select(pred, inside.outputs[0], b, f"{select.name}.merged")
        graph.insert_before(relu, twin)
        signs.add(twin.outputs[0])
        replace(graph, relu, twin.outputs[0])
        graph.remove(select, safe=True)
        yield f"{select.name!r} took in {relu.name!r}"


def _chains(program: Program) -> Iterator[str]:
    """A Select reads through another one of its predicate, if nobody else reads that."""
    for select in [node for node in program.graph if ops.is_select(node)]:
        inside = {side: set(region(select, side)) for side in ("a", "b")}
        for other in _selects_before(select, inside["a"] | inside["b"]):
            uses = list(other.outputs[0].uses())
            sides = [_side(use.node, use.idx, select, inside) for use in uses]
            if None in sides or other.outputs[0].is_graph_output():
                continue
            for use, side in zip(uses, sides, strict=True):
                use.node.replace_input_with(use.idx, other.inputs[1 if side == "a" else 2])
            yield f"{select.name!r} reads through {other.name!r}"
            return


def _selects_before(select: ir.Node, inside: set[ir.Node]) -> list[ir.Node]:
    """The Selects of the same predicate that the sides of a Select read, of one shape with it."""
    read = [v for node in (select, *inside) for v in node.inputs if v is not None]
    found = dict.fromkeys(node for v in read if (node := v.producer()) is not None)
    return [
        node
        for node in found
        if node is not select
        and ops.is_select(node)
        and node.inputs[0] is select.inputs[0]
        and all(v is not None and v.shape == node.outputs[0].shape for v in node.inputs[1:])
    ]


def _side(
    node: ir.Node, place: int, select: ir.Node, inside: dict[str, set[ir.Node]]
) -> str | None:
    """On which side of a Select a use stands; None if on neither, or as its predicate."""
    if node is select:
        return {1: "a", 2: "b"}.get(place)
    return next((side for side, nodes in inside.items() if node in nodes), None)


def _alone(value: ir.Value | None) -> ir.Node | None:
    """The Select that computes a value which is used once."""
    if value is None or len(value.uses()) != 1 or value.is_graph_output():
        return None
    node = value.producer()
    return node if node is not None and ops.is_select(node) else None


def _nothing(value: ir.Value | None) -> bool:
    """Whether a value is the scalar 0."""
    fixed = constant(value)
    return fixed is not None and fixed.size == 1 and not fixed.any()


def _select(pred: ir.Value | None, a: ir.Value, b: ir.Value | None, name: str) -> ir.Node:
    return build.op("Select", [pred, a, b], name, domain=ops.DOMAIN)
