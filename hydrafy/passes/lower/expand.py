"""Replaces what is left of the domain `hydrafy` by standard ops: the program is plain ONNX."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.ir import build, ops
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class Expand(Pass):
    """Puts the bodies of the gates in their places and calls the program lowered."""

    name: ClassVar[str] = "expand"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        calls = [node for node in program.graph.all_nodes() if node.domain == ops.DOMAIN]
        for node in calls:
            _inline(node)
        for node in [node for node in program.graph.all_nodes() if _changes_nothing(node)]:
            _drop(node)
        program.model.ir_version = max(program.model.ir_version, 10)  # node metadata
        program.manifest = dataclasses.replace(program.manifest, stage="lowered", rates=())
        return [f"{len(calls)} gates became standard ops"] if calls else []


def _changes_nothing(node: ir.Node) -> bool:
    """Whether a node casts numbers to the type that they have."""
    source, out = node.inputs[0] if node.inputs else None, node.outputs[0]
    same = source is not None and source.dtype == out.dtype
    return node.op_type == "Cast" and same and not out.is_graph_output()


def _drop(node: ir.Node) -> None:
    graph, source = node.graph, node.inputs[0]
    assert isinstance(graph, ir.Graph) and source is not None
    node.outputs[0].replace_all_uses_with(source)
    graph.remove(node, safe=True)


def _inline(call: ir.Node) -> None:
    graph, body = call.graph, ops.function(call.op_type)
    assert isinstance(graph, ir.Graph)
    values = {formal: v for formal, v in zip(body.inputs, call.inputs, strict=True) if v}
    copies = build.copy(
        body,
        values,
        lambda name: f"{call.name}.{name}",
        attributes={
            node: {attribute.name: call.attributes[attribute.ref_attr_name or ""].value}
            for node in body
            for attribute in node.attributes.values()
            if attribute.is_ref()
        },
    )
    for node in copies:
        graph.insert_before(call, node)
    for formal, old in zip(body.outputs, call.outputs, strict=True):
        new, name = values[formal], old.name
        old.name = f"{call.name}.call"
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        new.name, new.shape, new.type = name, old.shape, old.type
    graph.remove(call, safe=True)
