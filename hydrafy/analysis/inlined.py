"""Inlined: where a lowered program has the standard ops of a gate, at whatever depth."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.ir import ops
from hydrafy.ir.program import Program


@dataclass(frozen=True, eq=False)
class Inlined:
    """A gate as standard ops.

    Attributes:
        kind: the op that it was.
        nodes: of one graph, the main one or a region's.
        inputs: the values that it reads, by the names that the op has for them.
        decision: what it makes.
    """

    kind: str
    nodes: tuple[ir.Node, ...]
    inputs: dict[str, ir.Value]
    decision: ir.Value


def inlined(program: Program) -> dict[str, Inlined]:
    """The gates of a lowered program, by the names that they had as nodes.

    Lowering names the ops of a gate after it and those of its body (`passes/lower/expand.py`).
    """
    nodes = {node.name or "": node for node in program.graph.all_nodes()}
    found = {}
    for kind in sorted(ops.GATES):
        body = ops.function(kind)
        parts = {node: f".{node.outputs[0].name}" for node in body}
        first = next(iter(parts.values()))
        for gate in [name.removesuffix(first) for name in nodes if name.endswith(first)]:
            twins = {part: nodes.get(gate + ending) for part, ending in parts.items()}
            known = {part: twin for part, twin in twins.items() if twin is not None}
            if len(known) == len(parts):
                found[gate] = _inlined(kind, body, known)
    return found


def _inlined(kind: str, body: ir.Function, twins: dict[ir.Node, ir.Node]) -> Inlined:
    inputs = {}
    for formal in body.inputs:
        use = next(iter(formal.uses()))
        value = twins[use.node].inputs[use.idx]
        assert value is not None
        inputs[formal.name or ""] = value
    last = body.outputs[0].producer()
    assert last is not None
    return Inlined(kind, tuple(twins.values()), inputs, twins[last].outputs[0])
