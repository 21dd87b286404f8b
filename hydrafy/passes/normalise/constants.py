"""Computes what depends on constants alone, so that weights and shapes are plain initializers."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.execute.session import Session
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass

RANDOM = frozenset({
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike",
})  # fmt: skip


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Lifts Constant nodes to initializers and evaluates all nodes that read nothing else.

    Nodes that draw random numbers or hold a graph stay. The others are gathered into one model and
    run by onnxruntime, once.
    """

    name: ClassVar[str] = "fold-constants"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        common = onnx_ir.passes.common
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(program.model)
        common.RemoveInitializersFromInputsPass()(program.model)
        graph = program.graph
        folded: dict[ir.Node, None] = {}
        for node in graph:
            if _is_foldable(node) and all(
                v is None or constant(v) is not None or v.producer() in folded for v in node.inputs
            ):
                folded[node] = None
        if not folded:
            return []
        kept = [
            v
            for node in folded
            for v in node.outputs
            if v.is_graph_output() or any(user not in folded for user in v.consumers())
        ]
        for value, array in zip(kept, _evaluate(program, list(folded), kept), strict=True):
            name = value.name or ""
            value.name = f"{name}.folded"
            fixed = build.weight(graph, name, array)
            value.replace_all_uses_with(fixed, replace_graph_outputs=True)
        graph.remove(folded, safe=True)
        return [f"{len(folded)} nodes computed {len(kept)} constants"]


def _is_foldable(node: ir.Node) -> bool:
    """Whether a node is of a standard op that gives the same result each time, by itself."""
    inner = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    if node.domain != "" or any(a.type in inner for a in node.attributes.values()):
        return False
    if node.op_type == "Dropout":  # draws only in training mode
        return len(node.inputs) < 3
    return node.op_type not in RANDOM


def _evaluate(program: Program, nodes: list[ir.Node], wanted: list[ir.Value]) -> list[np.ndarray]:
    sources = {v for n in nodes for v in n.inputs if v is not None and constant(v) is not None}
    values: dict[ir.Value, ir.Value] = {
        v: ir.Value(name=v.name, shape=v.shape, type=v.type, const_value=v.const_value)
        for v in sources
    }
    copies = []
    for node in nodes:
        twin = ir.Node(
            node.domain,
            node.op_type,
            [values[v] if v is not None else None for v in node.inputs],
            node.attributes.values(),
            num_outputs=len(node.outputs),
            name=node.name,
        )
        for old, new in zip(node.outputs, twin.outputs, strict=True):
            new.name, values[old] = old.name, new
        copies.append(twin)
    graph = ir.Graph(
        [],
        [values[v] for v in wanted],
        nodes=copies,
        initializers=[values[v] for v in sources],
        opset_imports=dict(program.graph.opset_imports),
        name="constants",
    )
    model = ir.Model(graph, ir_version=min(program.model.ir_version, 10))
    found = Session(ir.to_proto(model), threads=1).run({})
    return [found[v.name or ""] for v in wanted]
