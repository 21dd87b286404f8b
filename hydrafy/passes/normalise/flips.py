"""Refuses a Slice that reads backwards: ONNX's shape inference may end the process over one."""

from dataclasses import dataclass
from typing import ClassVar

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass

STEPS = 4  # the place of the steps among a Slice's inputs


@dataclass(frozen=True)
class RefuseFlips(Pass):
    """Changes nothing. What is left of such Slices once constants are folded flips images.

    Of an empty dimension, onnx 1.23 takes `std::clamp(start, 0, -1)`, which aborts where the C++
    library asserts. Whether a dimension is empty, only inference would tell.
    """

    name: ClassVar[str] = "refuse-flips"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: naming the node.
        """
        for node in program.graph.all_nodes():
            if node.op_type != "Slice" or len(node.inputs) <= STEPS:
                continue
            steps = constant(node.inputs[STEPS])
            if steps is not None and (steps < 0).any():
                raise ModelError(
                    f"node {node.name!r} (Slice) reads backwards, with steps {steps.tolist()}: "
                    "flip images before they enter the network"
                )
        return []
