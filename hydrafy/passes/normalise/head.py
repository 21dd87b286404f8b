"""Writes a classifier of 1x1 convolutions on pooled features as fully connected layers."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.layout import POINTWISE
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.edit import integers, only_reader, set_constant
from hydrafy.passes.normalise.replace import drop


@dataclass(frozen=True)
class FlatHead(Pass):
    """A Flatten of [N, C, 1, 1] moves before the activations and 1x1 Convs that it reads.

    The Convs are then Gemms.
    """

    name: ClassVar[str] = "flat-head"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, notes = program.graph, []
        for node in list(graph):
            source = node.inputs[0] if node.op_type == "Flatten" and node.domain == "" else None
            if source is None or not _is_vector(source) or not _can_move(source.producer()):
                continue
            if list(node.outputs[0].shape or ()) != list(source.shape or ())[:2]:
                continue  # an axis other than 1 mixes images, or leaves an axis more
            drop(node, _flat(graph, source))
            notes.append(f"Flatten {node.name!r} moved before the layers that it read")
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        return notes


def _is_vector(value: ir.Value) -> bool:
    """Whether a value is [N, C, 1, 1]."""
    return value.shape is not None and list(value.shape)[2:] == [1, 1]


def _can_move(node: ir.Node | None) -> bool:
    """Whether a node on [N, C, 1, 1] that only a Flatten reads can be one on [N, C]."""
    if node is None or node.domain != "" or only_reader(node.outputs[0]) is None:
        return False
    source = node.inputs[0]
    if source is None or not _is_vector(source):
        return False
    if node.op_type == "Conv":
        kernel = constant(node.inputs[1])
        plain = kernel is not None and kernel.shape[2:] == (1, 1)
        full = node.attributes.get_int("group", 1) == 1 and not any(integers(node, "pads", [0]))
        return plain and full
    if node.op_type in ("LogSoftmax", "Softmax"):
        return node.attributes.get_int("axis", -1) in (1, -3)
    return node.op_type in POINTWISE and len(node.inputs) == 1


def _flat(graph: ir.Graph, value: ir.Value) -> ir.Value:
    """A value [N, C, 1, 1] as [N, C], flattened as early as can be."""
    chain = []
    while (node := value.producer()) is not None and _can_move(node):
        chain.append(node)
        assert node.inputs[0] is not None
        value = node.inputs[0]
    first = chain[-1]
    flatten = build.op("Flatten", [value], f"{first.outputs[0].name}.vector", axis=1)
    graph.insert_before(first, flatten)
    (flat,) = flatten.outputs
    for node in reversed(chain):
        twin = _on_vectors(graph, node, flat)
        graph.insert_after(node, twin)
        (flat,) = twin.outputs
    return flat


def _on_vectors(graph: ir.Graph, node: ir.Node, source: ir.Value) -> ir.Node:
    """What a node that can move computes on [N, C]."""
    name, image = f"{node.outputs[0].name}.flat", node.inputs[0]
    assert image is not None
    if node.op_type == "Conv":
        kernel = constant(node.inputs[1])
        assert kernel is not None
        set_constant(graph, node, 1, kernel[:, :, 0, 0])
        twin = build.op("Gemm", [source, *node.inputs[1:]], name, transB=1)
    elif node.op_type in ("LogSoftmax", "Softmax"):
        twin = build.op(node.op_type, [source], name, axis=-1)
    else:
        (twin,) = build.copy([node], {image: source}, "{}.flat".format)
    twin.name = node.name
    return twin
