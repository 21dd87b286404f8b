"""Declares a program static once nothing in it stands in the way of the later steps."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class Accept(Pass):
    """The stage becomes `static`, unless a part of the interface or a mode is refused by name."""

    name: ClassVar[str] = "accept"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: a node is in training mode, an output is a weight or an input, a weight has
                numbers that are not finite, or the image input is not float32.
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
        for name, value in program.graph.initializers.items():
            array = constant(value)
            if array is None or array.dtype.kind != "f" or array.ndim == 0:
                continue  # a bound or a filling may well be infinite
            if not np.isfinite(array).all():
                raise ModelError(
                    f"weight {name!r} has numbers that are not finite: the network was not trained "
                    "well, or its file is damaged"
                )
        source = program.data_inputs[0]
        if source.dtype != ir.DataType.FLOAT:
            raise ModelError(f"input {source.name!r} is {source.dtype}: float32 is needed")
        program.manifest = dataclasses.replace(program.manifest, stage="static")
        return []
