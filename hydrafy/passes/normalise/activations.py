"""Finds the activations that opset 18 has an op for where a file spells them out."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.edit import only_reader
from hydrafy.passes.normalise.replace import swap


@dataclass(frozen=True)
class FindActivations(Pass):
    """`x * HardSigmoid(x)` becomes HardSwish, and `x * Tanh(Softplus(x))` Mish."""

    name: ClassVar[str] = "find-activations"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        found = []
        for node in [n for n in program.graph if n.op_type == "Mul" and n.domain == ""]:
            for x, factor in (node.inputs, tuple(reversed(node.inputs))):
                kind = _activation(x, factor)
                if kind is not None:
                    swap(node, kind, [x])
                    found.append(kind)
                    break
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        return [f"{found.count(kind)} {kind} nodes were found" for kind in sorted({*found})]


def _activation(x: ir.Value | None, factor: ir.Value | None) -> str | None:
    """The op that the product of x and a factor is."""
    node = _maker(factor)
    if node is None or x is None:
        return None
    if node.op_type == "HardSigmoid" and node.inputs[0] is x:
        numbers = [node.attributes.get_float(n, d) for n, d in (("alpha", 0.2), ("beta", 0.5))]
        return "HardSwish" if np.allclose(numbers, [1 / 6, 0.5], rtol=1e-6) else None
    inner = _maker(node.inputs[0]) if node.op_type == "Tanh" else None
    if inner is not None and inner.op_type == "Softplus" and inner.inputs[0] is x:
        return "Mish"
    return None


def _maker(value: ir.Value | None) -> ir.Node | None:
    """The node that computes a value which one other alone reads."""
    if value is None or only_reader(value) is None:
        return None
    node = value.producer()
    return node if node is not None and node.domain == "" else None
