"""Declares a program static once nothing in it stands in the way of the later steps."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class Accept(Pass):
    """The stage becomes `static`, unless a part of the interface or a mode is refused by name."""

    name: ClassVar[str] = "accept"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: a node is in training mode, an output is a weight or an input, or the
                image input is not float32.
        """
        for node in program.graph:
            mode = node.attributes.get("training_mode")
            if mode is not None and mode.as_int():
                raise ModelError(
                    f"node {node.name!r} is in training mode: export the model in eval mode"
                )
        for value in program.graph.outputs:
            if value.is_initializer() or value.is_graph_input():
                raise ModelError(
                    f"output {value.name!r} is no result but a weight or an input: "
                    "remove it from the network's outputs"
                )
        source = program.data_inputs[0]
        if source.dtype != ir.DataType.FLOAT:
            raise ModelError(f"input {source.name!r} is {source.dtype}: float32 is needed")
        program.manifest = dataclasses.replace(program.manifest, stage="static")
        return []
