"""Takes over what onnxruntime makes of a lowered program on this machine."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.execute.machine import this_machine
from hydrafy.execute.optimised import optimised
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class OptimiseHere(Pass):
    """The graph becomes that which onnxruntime would run here, its blocked kernels included.

    Stock onnxruntime of the same version runs such a graph on processors of one family.
    """

    name: ClassVar[str] = "optimise-here"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes = {n.name: n.metadata_props for n in program.graph.all_nodes() if n.op_type == "If"}
        model = ir.from_proto(optimised(program))
        for node in model.graph.all_nodes():
            if node.op_type == "If":
                node.metadata_props.update(notes[node.name])
            source = node.inputs[0] if node.inputs else None
            like = source.type if node.domain == "" and source is not None else None
            for value in node.outputs:  # blocked kernels and Splits have none
                value.type = value.type or like or ir.TensorType(ir.DataType.FLOAT)
        _name_once(model.graph, "", set())
        onnx_ir.passes.common.RemoveUnusedOpsetsPass()(model)
        machine = this_machine()
        program.model = model
        program.manifest = dataclasses.replace(program.manifest, target="native", machine=machine)
        return [f"onnxruntime {machine.onnxruntime} optimised it for {machine.processor}"]


def _name_once(graph: ir.Graph, path: str, names: set[str]) -> None:
    """Prefixes names that are taken: onnxruntime counts new values from 0 in each region."""
    made = [value for node in graph for value in node.outputs]
    for value in (*graph.inputs, *graph.initializers.values(), *made):
        if value.name in names:
            value.name = f"{path}{value.name}"
        names.add(value.name or "")
    for node in graph:
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                inner = f"{node.name}.{attribute.name}."
                _name_once(attribute.as_graph(), inner, names)
