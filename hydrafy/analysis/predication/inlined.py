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
    Some may be missing that only made constants, or changed nothing.
    """
    nodes = {node.name or "": node for node in program.graph.all_nodes()}
    found = {}
    for kind in sorted(ops.GATES):
        body = ops.function(kind)
        last = body.outputs[0].producer()
        assert last is not None
        ending = f".{body.outputs[0].name}"
        for name in [name for name in nodes if name.endswith(ending)]:
            gate = name.removesuffix(ending)
            twins = {
                part: twin
                for part in body
                if (twin := nodes.get(f"{gate}.{part.outputs[0].name}")) is not None
                and twin.op_type == part.op_type
            }
            inputs = {v.name or "": _read(v, twins) for v in body.inputs}
            known = {formal: v for formal, v in inputs.items() if v is not None}
            if last in twins and len(known) == len(inputs):
                found[gate] = Inlined(kind, tuple(twins.values()), known, twins[last].outputs[0])
    return found


def _read(formal: ir.Value, twins: dict[ir.Node, ir.Node]) -> ir.Value | None:
    """What the ops of a gate read in the place of a value of its body."""
    for use in formal.uses():
        if use.node in twins:
            return twins[use.node].inputs[use.idx]
    for use in formal.uses():
        if use.node.op_type == "Cast" and (value := _read(use.node.outputs[0], twins)) is not None:
            return value
    return None
