"""Writes what cuts off below zero, and only there, as Relu."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class PlainRelus(Pass):
    """`Clip` from 0 with no upper bound, and `Max` with 0, become `Relu`."""

    name: ClassVar[str] = "plain-relus"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        written = 0
        for node in program.graph:
            source = _cut_off(node) if node.domain == "" else None
            if source is not None:
                node.op_type = "Relu"
                node.resize_inputs(1)
                node.replace_input_with(0, source)
                written += 1
        return [f"{written} nodes became Relu"] if written else []


def _cut_off(node: ir.Node) -> ir.Value | None:
    """What a node cuts off below zero; None if it does anything else."""
    if node.op_type == "Clip":
        low, high = ([*node.inputs[1:], None, None])[:2]
        open_above = high is None or _is_everywhere(high, np.inf)
        return node.inputs[0] if _is_everywhere(low, 0) and open_above else None
    if node.op_type == "Max" and len(node.inputs) == 2:
        a, b = node.inputs
        found = a if _is_everywhere(b, 0) else b if _is_everywhere(a, 0) else None
        alike = found is not None and found.shape == node.outputs[0].shape
        return found if alike else None
    return None


def _is_everywhere(value: ir.Value | None, number: float) -> bool:
    array = constant(value)
    return array is not None and bool((array == number).all())
