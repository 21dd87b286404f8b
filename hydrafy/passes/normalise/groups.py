"""Spells out GroupNormalization by ops that opset 18 has and that keep their meaning."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.edit import set_constant
from hydrafy.passes.normalise.replace import plain, replace

PER_CHANNEL = 21
"""From this opset on a scale belongs to a channel. Before, it belonged to a group, by mistake."""


@dataclass(frozen=True)
class SpellGroups(Pass):
    """GroupNormalization becomes what PyTorch writes for earlier opsets.

    That is a Reshape to one row a group, an InstanceNormalization of scale 1 and offset 0, a
    Reshape back, and the scale and the offset of each channel, [C, 1, 1], by Mul and Add.
    """

    name: ClassVar[str] = "spell-groups"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, count = program.graph, 0
        each = program.graph.opset_imports.get("", 1) < PER_CHANNEL
        for node in [n for n in graph if n.op_type == "GroupNormalization" and n.domain == ""]:
            count += _spell(graph, node, each)
        return [f"{count} GroupNormalization nodes were spelled out"] if count else []


def _spell(graph: ir.Graph, node: ir.Node, each_group: bool) -> bool:
    x, scale, bias = node.inputs
    factors, offsets = constant(scale), constant(bias)
    if x is None or x.shape is None or factors is None or offsets is None:
        return False
    groups = node.attributes["num_groups"].as_int()
    channels = x.shape[1] if x.shape.rank() > 1 else None
    if not isinstance(channels, int) or groups < 1 or channels % groups:
        return False
    if {factors.shape, offsets.shape} != {(groups if each_group else channels,)}:
        return False
    name, eps = node.outputs[0].name, node.attributes.get_float("epsilon", 1e-5)
    rows = build.weight(graph, f"{name}.rows", np.array([0, groups, -1], np.int64))
    one = build.weight(graph, f"{name}.one", np.ones(groups, np.float32))
    zero = build.weight(graph, f"{name}.zero", np.zeros(groups, np.float32))
    shape = plain("Shape", [x], f"{name}.shape")
    split = plain("Reshape", [x, rows], f"{name}.split")
    alike = plain(
        "InstanceNormalization", [split.outputs[0], one, zero], f"{name}.alike", epsilon=eps
    )
    joined = plain("Reshape", [alike.outputs[0], shape.outputs[0]], f"{name}.joined")
    scaled = plain("Mul", [joined.outputs[0], scale], f"{name}.scaled")
    moved = plain("Add", [scaled.outputs[0], bias], f"{name}.moved")
    replace(node, [shape, split, alike, joined, scaled, moved])
    for reader, array in ((scaled, factors), (moved, offsets)):
        whole = np.repeat(array, channels // groups) if each_group else array
        set_constant(graph, reader, 1, whole.reshape(-1, *(1,) * (x.shape.rank() - 2)))
    return True
