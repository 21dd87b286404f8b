"""Makes the difference of two columns of a linear layer one column."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.ir import build, ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.batchnorm import has_filters


@dataclass(frozen=True)
class FoldDifferences(Pass):
    """`Sub` of columns gathered from one Gemm is a Gemm with the differences of their weights.

    A gate has two logits for each choice in training, and asks for no more than which is larger.
    The same holds of columns of an EachRow, a gate that sees nothing.
    """

    name: ClassVar[str] = "fold-differences"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, notes = program.graph, []
        for node in [node for node in graph if node.op_type == "Sub" and node.domain == ""]:
            one, two = (_columns(v) for v in node.inputs)
            if one is None or two is None or one[0] is not two[0] or not _is_linear(one[0]):
                continue
            _fold(graph, node, one[0], one[1], two[1])
            notes.append(f"{node.outputs[0].name!r} is one linear layer")
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        return notes


def _columns(value: ir.Value | None) -> tuple[ir.Node, np.ndarray] | None:
    """What columns of a matrix a value is, and what makes the matrix."""
    node = value.producer() if value is not None else None
    if node is None or node.op_type != "Gather" or node.attributes.get_int("axis", 0) != 1:
        return None
    index, source = constant(node.inputs[1]), node.inputs[0]
    made = source.producer() if source is not None else None
    return None if made is None or index is None or index.ndim != 1 else (made, index)


def _is_linear(node: ir.Node) -> bool:
    """Whether the columns of what a node makes follow from rows, or columns, of its weights."""
    linear = node.op_type == "Gemm" and has_filters(node)
    row = node.op_type == "EachRow" and node.domain == ops.DOMAIN
    return (linear or row) and all(constant(v) is not None for v in node.inputs[1:])


def _fold(graph: ir.Graph, sub: ir.Node, made: ir.Node, one: np.ndarray, two: np.ndarray) -> None:
    weights = []
    for number, value in enumerate(made.inputs[1:]):
        array = np.asarray(constant(value), np.float64)
        axis = 0 if made.op_type == "Gemm" else 1
        new = (np.take(array, one, axis) - np.take(array, two, axis)).astype(np.float32)
        weights.append(build.weight(graph, f"{sub.name}.weights.{number}", new))
    name = f"{sub.name}.linear"
    twin = ir.Node(
        made.domain, made.op_type, [made.inputs[0], *weights], made.attributes.values(), name=name
    )
    old, new_value = sub.outputs[0], twin.outputs[0]
    new_value.shape, new_value.type = old.shape, old.type
    new_value.name, old.name = old.name, f"{old.name}.difference"
    graph.insert_before(sub, twin)
    old.replace_all_uses_with(new_value, replace_graph_outputs=True)
    graph.remove(sub, safe=True)
