"""Reads a network that was exported in training mode as what it is at inference."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class InferenceMode(Pass):
    """Normalisations use their running statistics, and dropouts pass on what they get.

    Before opset 14 a BatchNormalization in training mode was one with further outputs; since then
    an attribute says so. A Dropout says it, since opset 12, by an input.
    """

    name: ClassVar[str] = "inference-mode"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: something reads the statistics of a batch.
        """
        norms = [n for n in program.graph if n.op_type == "BatchNormalization" and _trains(n)]
        drops = [n for n in program.graph if n.op_type == "Dropout" and len(n.inputs) > 2]
        for node in norms:
            for value in node.outputs[1:]:
                if value.uses() or value.is_graph_output():
                    raise ModelError(
                        f"node {node.name!r} is in training mode, and its statistics "
                        f"{value.name!r} are read: export the model in eval mode"
                    )
            node.attributes.pop("training_mode", None)
            node.resize_outputs(1)
        for node in drops:
            node.resize_inputs(2)
        if not norms:
            return []
        return [f"{len(norms)} BatchNormalizations in training mode use their running statistics"]


def _trains(node: ir.Node) -> bool:
    return bool(node.attributes.get_int("training_mode", 0)) or len(node.outputs) > 1
