"""Fuses sums and activations into onnxruntime's blocked convolutions."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.targets.layout import BLOCKED


@dataclass(frozen=True)
class FuseBlocked(Pass):
    """`Relu(conv(x) + y)` becomes one blocked Conv with a fourth input and an activation.

    onnxruntime does so within a region only, and only where `y` was blocked before.
    """

    name: ClassVar[str] = "fuse-blocked"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        fused = [
            node.op_type
            for graph in list(program.model.graphs())
            for node in list(graph)
            if _fuse_sum(graph, node) or _fuse_relu(graph, node)
        ]
        sums = sum(op_type != "Relu" for op_type in fused)
        return [f"{sums} sums and {len(fused) - sums} Relus went into convolutions"] * bool(fused)


def _fuse_sum(graph: ir.Graph, node: ir.Node) -> bool:
    if node.op_type not in ("Add", "Sum") or len(node.inputs) != 2:
        return False
    for value, other in (node.inputs, reversed(node.inputs)):
        conv = _fusable(value, graph)
        if conv is None or len(conv.inputs) > 3 or other is value or constant(other) is not None:
            continue
        bias = conv.inputs[2] if len(conv.inputs) > 2 else None
        _replace(graph, node, conv, [*conv.inputs[:2], bias, other], {})
        return True
    return False


def _fuse_relu(graph: ir.Graph, node: ir.Node) -> bool:
    conv = _fusable(node.inputs[0], graph) if node.op_type == "Relu" else None
    if conv is None:
        return False
    _replace(graph, node, conv, list(conv.inputs), {"activation": "Relu"})
    return True


def _fusable(value: ir.Value | None, graph: ir.Graph) -> ir.Node | None:
    """The blocked convolution of this graph that computes a value with one use, if it can grow."""
    conv = value.producer() if value is not None else None
    if value is None or conv is None or conv.graph is not graph or value.is_graph_output():
        return None
    plain = (conv.domain, conv.op_type) == (BLOCKED, "Conv") and "activation" not in conv.attributes
    return conv if plain and len(value.uses()) == 1 else None


def _replace(
    graph: ir.Graph,
    node: ir.Node,
    conv: ir.Node,
    inputs: list[ir.Value | None],
    attributes: dict[str, str],
) -> None:
    """Puts a convolution that computes what `node` does in its place, where all is known."""
    added = ir.convenience.convert_attributes(attributes)
    whole = ir.Node(BLOCKED, "Conv", inputs, [*conv.attributes.values(), *added], name=conv.name)
    old, new = node.outputs[0], whole.outputs[0]
    name, old.name = old.name, f"{old.name}.before"
    new.name, new.type, new.shape = name, old.type, old.shape
    graph.insert_before(node, whole)
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    graph.remove([node, conv], safe=True)
