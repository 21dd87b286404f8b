"""Writes a chain of nodes that only reshape as one Flatten, as one Reshape, or not at all."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.layout import permutation
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.replace import drop, swap


@dataclass(frozen=True)
class MergeReshapes(Pass):
    """Reshape, Flatten, Squeeze, Unsqueeze, Identity, Transposes that move only axes of size 1.

    To [N, features] it is a Flatten, to any other shape a Reshape to [0, ...], and where the shape
    is the old one, it is nothing; an output's name then goes to what was reshaped. Only nodes that
    keep each image's numbers together are merged.
    """

    name: ClassVar[str] = "merge-reshapes"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, written = program.graph, 0
        before = len(graph)
        for node in list(graph):
            if not _reshapes(node):
                continue
            source, out = _origin(node), node.outputs[0]
            if source.shape == out.shape and drop(node, source):
                continue
            if not _is_plain(node) or node.inputs[0] is not source:
                _rewrite(graph, node, source)
                written += 1
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        gone = before - len(graph)
        notes = [f"{gone} nodes that only reshape went"] if gone else []
        return [*notes, f"{written} became a plain Flatten or Reshape"] if written else notes


def _reshapes(node: ir.Node) -> bool:
    source, out = node.inputs[0] if node.inputs else None, node.outputs[0]
    if node.domain != "" or source is None or source.shape is None or out.shape is None:
        return False
    before, after = list(source.shape), list(out.shape)
    if before[:1] in ([], [ir.SymbolicDim(None)]) or before[:1] != after[:1]:
        return False  # nothing tells that two dimensions without a name are the same
    if not all(isinstance(d, int) for d in before[1:] + after[1:]):
        return False
    order = permutation(node)
    if order is not None:
        moved = [axis for axis in order if before[axis] != 1]
        return moved == sorted(moved)
    return node.op_type in ("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")


def _origin(node: ir.Node) -> ir.Value:
    """The value that a chain of nodes that only reshape starts from."""
    source = node.inputs[0]
    assert source is not None
    before = source.producer()
    return source if before is None or not _reshapes(before) else _origin(before)


def _is_plain(node: ir.Node) -> bool:
    """Whether a node is the one that this pass would write; an Identity repeats an output."""
    if node.op_type == "Identity":
        return True
    return node.op_type == ("Flatten" if len(node.outputs[0].shape or ()) == 2 else "Reshape")


def _rewrite(graph: ir.Graph, node: ir.Node, source: ir.Value) -> None:
    out = node.outputs[0]
    assert out.shape is not None
    if out.shape.rank() == 2:
        swap(node, "Flatten", [source], axis=1)
        return
    target = np.array([0, *list(out.shape)[1:]], np.int64)
    swap(node, "Reshape", [source, build.weight(graph, f"{out.name}.target", target)])
