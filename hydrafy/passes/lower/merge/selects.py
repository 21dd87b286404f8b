"""What the rules of merging ask of Selects, and how they make one."""

import onnx_ir as ir

from hydrafy.ir import build, ops
from hydrafy.ir.values import constant


def alone(value: ir.Value | None) -> ir.Node | None:
    """The Select that computes a value which is used once."""
    if value is None or len(value.uses()) != 1 or value.is_graph_output():
        return None
    node = value.producer()
    return node if node is not None and ops.is_select(node) else None


def is_nothing(value: ir.Value | None) -> bool:
    """Whether a value is the scalar 0."""
    fixed = constant(value)
    return fixed is not None and fixed.size == 1 and not fixed.any()


def select(pred: ir.Value | None, a: ir.Value, b: ir.Value | None, name: str) -> ir.Node:
    """A new `Select(pred, a, b)`."""
    return build.op("Select", [pred, a, b], name, domain=ops.DOMAIN)
