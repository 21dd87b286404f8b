"""Declares a program static once all of its nodes are ones that every later step understands."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class Accept(Pass):
    """Refuses, by name, a node that hydrafy cannot train or move; else the stage is `static`."""

    name: ClassVar[str] = "accept"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: a node's op is not in the vocabulary, its type is no float32, or it is a
                BatchNormalization in training mode; an output is a weight.
        """
        for node in program.graph:
            if node.domain != "" or node.op_type not in ops.STANDARD:
                kind = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
                raise ModelError(
                    f"node {node.name!r} is a {kind}, an op that hydrafy does not know: "
                    "replace it before the conversion"
                )
            mode = node.attributes.get("training_mode")
            if mode is not None and mode.as_int():
                raise ModelError(
                    f"node {node.name!r} is in training mode: export the model in eval mode"
                )
        for value in program.graph.outputs:
            if value.is_initializer():
                raise ModelError(
                    f"output {value.name!r} is no result but a weight: "
                    "remove it from the network's outputs"
                )
        source = program.data_inputs[0]
        if source.dtype != ir.DataType.FLOAT:
            raise ModelError(f"input {source.name!r} is {source.dtype}: float32 is needed")
        program.manifest = dataclasses.replace(program.manifest, stage="static")
        return []
