"""Takes sides: a Select whose predicate is known gives way to the side that it chooses."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.need import SIDES
from hydrafy.analysis.signs import non_negative
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant, dims
from hydrafy.passes.lower.regions import Inserter

SUMS = ("Add", "Sum")


def take_sides(program: Program, holds: Mapping[ir.Node, bool]) -> None:
    """Replaces Selects by one of their sides, a where the predicate holds.

    A scalar takes the Select's place as that place allows: a sum loses what adds nothing, and a
    Concat gets as many channels of the scalar. A Relu goes that has nothing left to cut off. What
    nobody reads any more stays, for `RemoveUnusedNodesPass`.

    Args:
        program: a dynamic program, which is changed.
        holds: whether the predicates of some of its Selects hold, of all samples.
    """
    graph = program.graph
    scalars: dict[ir.Node, ir.Value] = {}
    for select, held in holds.items():
        chosen = select.inputs[SIDES["a" if held else "b"]]
        assert chosen is not None
        if _is_scalar(chosen):
            scalars[select] = chosen
        else:
            _stand_in(graph, chosen, select)
    spread = _Spread(program, set(scalars))
    for select, scalar in scalars.items():
        spread.over(select.outputs[0], scalar)
        graph.remove(select, safe=True)
    positive = non_negative(graph)
    for relu in [node for node in graph if node.op_type == "Relu"]:
        source, out = relu.inputs[0], relu.outputs[0]
        if source in positive and not out.is_graph_output():
            out.replace_all_uses_with(source)


def _is_scalar(value: ir.Value) -> bool:
    array = constant(value)
    return array is not None and array.size == 1


def _stand_in(graph: ir.Graph, value: ir.Value, node: ir.Node) -> None:
    """Lets a value take the place of a node's result, as an output under its name; the node goes."""
    out = node.outputs[0]
    if out.is_graph_output():
        if value.is_graph_output() or value.producer() is None:
            value = Inserter(graph, node, out.name or "").op("Identity", [value], "as")
        value.name, out.name = out.name, f"{out.name}.chosen"
    out.replace_all_uses_with(value, replace_graph_outputs=True)
    graph.remove(node, safe=True)


@dataclass(frozen=True)
class _Spread:
    """Puts scalars in the place of what Selects gave.

    Attributes:
        program: what is changed.
        coming: the Selects that give way to scalars.
        filled: values that are one scalar everywhere.
    """

    program: Program
    coming: set[ir.Node]
    filled: set[ir.Value] = dataclasses.field(default_factory=set)

    def over(self, value: ir.Value, scalar: ir.Value) -> None:
        """Lets everything that reads a value read a scalar, or go."""
        graph = self.program.graph
        while uses := value.uses():
            node, place = uses[0]
            if ops.is_select(node) and place == SIDES["b"]:
                node.replace_input_with(place, scalar)
            elif not self._leaves_out(node, place, scalar):
                node.replace_input_with(place, self._full(scalar, value, node, place))
        last = value.producer()
        if value.is_graph_output() and last is not None:
            full = self._full(scalar, value, last, 0)
            value.name, full.name = f"{value.name}.chosen", value.name
            value.replace_all_uses_with(full, replace_graph_outputs=True)
        assert last is not None and last.graph is graph

    def _leaves_out(self, node: ir.Node, place: int, scalar: ir.Value) -> bool:
        """Whether a sum, or what joins nothing but scalars, could do without one of its inputs."""
        graph, out = self.program.graph, node.outputs[0]
        rest = [v for i, v in enumerate(node.inputs) if i != place and v is not None]
        nothing = not np.any(constant(scalar))
        if (node.op_type in SUMS and not rest) or (
            node.op_type == "Concat" and self._is_full(rest)
        ):
            self.over(out, scalar)
            graph.remove(node, safe=True)
            return True
        if node.op_type not in SUMS or not nothing or all(v.shape != out.shape for v in rest):
            return False
        if len(rest) == 1:
            _stand_in(graph, rest[0], node)
        else:
            for number, value in enumerate(rest):
                node.replace_input_with(number, value)
            node.resize_inputs(len(rest))
        return True
