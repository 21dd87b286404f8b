"""Quantises a dynamic network to int8, its gates left in float32."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.predication.predicting import predicting
from hydrafy.execute.quantised import Feeds, quantised
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass

TO, BACK = "QuantizeLinear", "DequantizeLinear"


@dataclass(frozen=True)
class Quantise(Pass):
    """onnxruntime's static quantisation of what predicts.

    Args:
        feeds: arrays for all inputs, run-time inputs included: what ranges are measured on.
    """

    name: ClassVar[str] = "quantise"
    feeds: tuple[Feeds, ...]

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        network = predicting(program)
        kept = [node.name or "" for node in program.graph if node not in network]
        program.model = ir.from_proto(quantised(program, self.feeds, kept))
        program.model.graph.sort()
        program.model.metadata_props.pop("onnx.infer", None)
        for node in program.graph:
            if any(value.shape is None or value.type is None for value in node.outputs):
                build.infer(node)
        program.manifest = dataclasses.replace(program.manifest, precision="int8")
        images = sum(len(next(iter(given.values()))) for given in self.feeds)
        count = sum(node.op_type == TO for node in program.graph)
        return [f"{count} values were quantised, by their ranges on {images} images"]


@dataclass(frozen=True)
class SelectQuantised(Pass):
    """`Select(p, dequantise(q), 0)` becomes `dequantise(Select(p, q, zero point))`.

    So regions return int8. What follows, another quantisation of the same range, goes. And each
    reader gets a DequantizeLinear of its own: onnxruntime has int8 kernels for what it finds
    between one and a QuantizeLinear of the same region.
    """

    name: ClassVar[str] = "select-quantised"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph = program.graph
        moved = sum(_select(graph, node) for node in list(graph) if node.op_type == "Select")
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        for node in [node for node in graph if node.op_type == BACK]:
            _one_each(graph, node)
        return [f"{moved} Selects choose between quantised values"] if moved else []


def _select(graph: ir.Graph, select: ir.Node) -> bool:
    pred, a, b = select.inputs
    back = a.producer() if a is not None else None
    other = constant(b)
    if back is None or back.op_type != BACK or other is None or other.size > 1 or other.any():
        return False
    quantised, scale, zero = back.inputs
    chosen = ir.Node(
        select.domain,
        "Select",
        [pred, quantised, zero],
        select.attributes.values(),
        name=f"{select.name}.quantised",
    )
    again = ir.Node(
        "", BACK, [chosen.outputs[0], scale, zero], back.attributes.values(), name=select.name
    )
    for node, like in ((chosen, quantised), (again, select.outputs[0])):
        assert like is not None
        out = node.outputs[0]
        out.name, out.type, out.shape = node.name, like.type, like.shape
        graph.insert_before(select, node)
    select.outputs[0].name = f"{select.name}.float"
    for reader in list(select.outputs[0].consumers()):
        same = reader.outputs[0].consumers() if reader.op_type == TO else ()
        for following in list(same):
            if following.op_type == BACK:
                following.outputs[0].replace_all_uses_with(again.outputs[0])
    select.outputs[0].replace_all_uses_with(again.outputs[0], replace_graph_outputs=True)
    graph.remove(select, safe=True)
    return True


def _one_each(graph: ir.Graph, back: ir.Node) -> None:
    out = back.outputs[0]
    for number, use in enumerate(list(out.uses())[1:], 1):
        twin = ir.Node(
            "", BACK, list(back.inputs), back.attributes.values(), name=f"{back.name}.{number}"
        )
        own = twin.outputs[0]
        own.name, own.type, own.shape = f"{out.name}.{number}", out.type, out.shape
        graph.insert_after(back, twin)
        use.node.replace_input_with(use.idx, own)
