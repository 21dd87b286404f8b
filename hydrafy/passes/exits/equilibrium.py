"""Gradient equilibrium: every layer learns from the mean of the answers that need it.

Source: Improved Techniques for Training Adaptive Deep Networks (2019), Section 3.1, eq. 4 to 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.analysis.answers import answers
from hydrafy.ir import build, ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import is_constant
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class Equilibrium(Pass):
    """Where what n answers need is read by what only m of them need, gradients are scaled by m / n.

    Losses are summed, not averaged: so a layer behind which n answers stand gets the mean of their
    gradients, and a classifier all of its own. On the way through a chain of K blocks with an exit
    behind each these are the paper's factors: behind block i, from 1 on, 1 / (K - i + 1) before the
    classifier and (K - i) / (K - i + 1) before the next block. Where several tensors lead from one
    block to the next (MSDNet's scales) each is scaled; one that a later block alone reads needs no
    scaling for an exit that has not seen it.
    """

    name: ClassVar[str] = "gradient-equilibrium"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        needing = _needing([one.output for one in answers(program)])
        scaled: dict[tuple[ir.Value, int], ir.Value] = {}
        for node in list(program.graph):
            count = needing.get(node, 0)
            for place, value in enumerate(node.inputs):
                producer = value.producer() if value is not None else None
                if value is None or producer is None or is_constant(value):
                    continue
                of = needing.get(producer, 0)
                if 0 < count < of:
                    if (value, count) not in scaled:
                        scaled[value, count] = _scaled(program.graph, value, count, of)
                    node.replace_input_with(place, scaled[value, count])
        return [f"{len(scaled)} gradients are scaled"] if scaled else []


def _needing(outputs: list[ir.Value]) -> dict[ir.Node, int]:
    """How many of some outputs each node is needed by, as far as gradients flow."""
    found: dict[ir.Node, int] = {}
    for output in outputs:
        for node in _learning(output):
            found[node] = found.get(node, 0) + 1
    return found


def _learning(output: ir.Value) -> set[ir.Node]:
    """The nodes that a gradient of an output reaches."""
    found: set[ir.Node] = set()
    waiting = [output]
    while waiting:
        node = waiting.pop().producer()
        if node is not None and node not in found:
            found.add(node)
            if node.op_type != "StopGradient":
                waiting += [v for v in node.inputs if v is not None]
    return found


def _scaled(graph: ir.Graph, value: ir.Value, count: int, of: int) -> ir.Value:
    node = build.op(
        "GradScale", [value], f"{value.name}.for.{count}", domain=ops.DOMAIN, scale=count / of
    )
    producer = value.producer()
    assert producer is not None
    graph.insert_after(producer, node)
    return node.outputs[0]
