"""Layout: whether the network's images come as [N, C, H, W] or as [N, H, W, C]."""

from typing import Literal

import onnx_ir as ir

from hydrafy.ir import ops
from hydrafy.ir.program import Program

TO_NCHW = (0, 3, 1, 2)
TO_NHWC = (0, 2, 3, 1)

POINTWISE = ops.EACH | ops.BOTH
"""Ops that do the same whatever the order of the axes."""


def layout(program: Program) -> Literal["NCHW", "NHWC"]:
    """The layout of the image input: NHWC where a Transpose to NCHW comes before any other layer.

    Arithmetic on pixels and padding may stand before it.
    """
    seen: set[ir.Node] = set()
    waiting = list(program.data_inputs)
    while waiting:
        for node in waiting.pop().consumers():
            if permutation(node) == TO_NCHW:
                return "NHWC"
            if node not in seen and (node.op_type in POINTWISE or node.op_type == "Pad"):
                seen.add(node)
                waiting += node.outputs
    return "NCHW"


def permutation(node: ir.Node) -> tuple[int, ...] | None:
    """The order that a Transpose gives to the axes; None for any other node."""
    if node.op_type != "Transpose" or node.domain != "" or "perm" not in node.attributes:
        return None
    return tuple(node.attributes["perm"].as_ints())
