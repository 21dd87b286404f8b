"""Spells out activations that opset 18 has no op for, as exporters to that opset write them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.replace import plain, replace


@dataclass(frozen=True)
class SpellOut(Pass):
    """Gelu (of ONNX or onnxruntime) and Swish become products with an Erf, Tanh or Sigmoid."""

    name: ClassVar[str] = "spell-out"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, done = program.graph, []
        for node in list(graph):
            spell = _spelling(node)
            if spell is not None:
                chain = _Chain(graph, node.outputs[0].name or "")
                spell(chain, node.inputs[0], node)
                replace(node, chain.nodes)
                done.append(node.op_type)
        return [f"{done.count(kind)} {kind} nodes were spelled out" for kind in sorted({*done})]


class _Chain:
    """Nodes that are to take the place of one, named after its result and numbered."""

    def __init__(self, graph: ir.Graph, name: str) -> None:
        self.graph, self.name = graph, name
        self.nodes: list[ir.Node] = []

    def add(self, op_type: str, *inputs: ir.Value | float | None) -> ir.Value:
        """The result of a new node; a number among its inputs is made a scalar."""
        name = f"{self.name}.{len(self.nodes)}"
        read = [
            build.weight(self.graph, f"{name}.number", np.array(v, np.float32))
            if isinstance(v, float)
            else v
            for v in inputs
        ]
        self.nodes.append(plain(op_type, read, name))
        return self.nodes[-1].outputs[0]


def _spelling(node: ir.Node) -> Callable[[_Chain, ir.Value | None, ir.Node], None] | None:
    if node.op_type == "Gelu" and node.domain in ("", "com.microsoft"):
        tanh = node.attributes.get_string("approximate", "none") == "tanh"
        return _approximate_gelu if tanh else _gelu
    return _swish if node.op_type == "Swish" and node.domain == "" else None


def _gelu(chain: _Chain, x: ir.Value | None, _: ir.Node) -> None:
    """Hendrycks and Gimpel (arXiv:1606.08415), section 2: x times the normal distribution at x."""
    erf = chain.add("Erf", chain.add("Div", x, math.sqrt(2)))
    chain.add("Mul", chain.add("Mul", x, chain.add("Add", erf, 1.0)), 0.5)


def _approximate_gelu(chain: _Chain, x: ir.Value | None, _: ir.Node) -> None:
    """The approximation there: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    inner = chain.add("Add", x, chain.add("Mul", chain.add("Pow", x, 3.0), 0.044715))
    tanh = chain.add("Tanh", chain.add("Mul", inner, math.sqrt(2 / math.pi)))
    chain.add("Mul", chain.add("Mul", x, chain.add("Add", tanh, 1.0)), 0.5)


def _swish(chain: _Chain, x: ir.Value | None, node: ir.Node) -> None:
    alpha = node.attributes.get_float("alpha", 1.0)
    chain.add("Mul", x, chain.add("Sigmoid", x if alpha == 1 else chain.add("Mul", x, alpha)))
