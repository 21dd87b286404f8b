"""Lets a network that works on [N, H, W, C] work on [N, C, H, W] inside."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.layout import TO_NCHW, TO_NHWC, layout, permutation
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.axes import turn
from hydrafy.passes.normalise.replace import insert_behind


@dataclass(frozen=True)
class ChannelsFirst(Pass):
    """Transposes to [N, H, W, C] sink through what stands behind them until they cancel.

    An input [N, H, W, C] stays what it is: a Transpose is then the first node. Another Transpose
    stays only before a node that cannot be turned, or before an output.
    """

    name: ClassVar[str] = "channels-first"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, nodes = program.graph, list(program.graph)
        before, turned = _transposes(graph), 0
        twins: dict[ir.Value, ir.Value] = {}  # [N, H, W, C] -> the same numbers as [N, C, H, W]
        if layout(program) == "NHWC":
            image = program.data_inputs[0]
            first = build.op("Transpose", [image], f"{image.name}.nchw", perm=TO_NCHW)
            graph.insert_before(nodes[0], first)
            twins[image] = first.outputs[0]
        for node in nodes:
            order, out = permutation(node), node.outputs[0]
            source = node.inputs[0] if node.inputs else None
            if order == TO_NHWC and source is not None:
                twins[out] = source
            elif order == TO_NCHW and source in twins and not out.is_graph_output():
                out.replace_all_uses_with(twins[source])
            elif any(v in twins for v in node.inputs) and turn(graph, node, twins):
                turned += 1
                if out.shape is not None and out.shape.rank() == 4:
                    twins[_as_before(node)] = out
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        after = _transposes(graph)
        if not turned and before == after:
            return []
        return [f"{turned} nodes work on [N, C, H, W] now; of {before} Transposes {after} are left"]


def _transposes(graph: ir.Graph) -> int:
    return sum(node.op_type == "Transpose" for node in graph)


def _as_before(node: ir.Node) -> ir.Value:
    """Gives the readers of a turned node its result as [N, H, W, C]; returns that value."""
    (out,) = node.outputs
    assert out.shape is not None
    samples, height, width, channels = out.shape
    back = build.op("Transpose", [out], f"{out.name}.nhwc", perm=TO_NHWC)
    insert_behind(out, back)
    (value,) = back.outputs
    out.name, out.shape = f"{value.name}.nchw", ir.Shape([samples, channels, height, width])
    return value
