"""Gemm and MatMul: an `nn.Linear` where it owns its weights, else a functional call."""

import onnx_ir as ir
import torch
from torch import fx, nn

from hydrafy.train.context import Context


def gemm(
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor | float | None,
    alpha: float,
    beta: float,
    trans_a: bool,
    trans_b: bool,
) -> torch.Tensor:
    """The sum alpha * a' b' + beta * c, where a' and b' are a and b, transposed if so wanted."""
    product = torch.matmul(a.t() if trans_a else a, b.t() if trans_b else b)
    scaled = product if alpha == 1 else alpha * product
    if c is None:
        return scaled
    return scaled + (c if beta == 1 else beta * c)


def convert_gemm(context: Context, node: ir.Node) -> fx.Node:
    """Gemm with any attributes."""
    a, b, c = (*node.inputs, None)[:3]
    alpha = context.decimal(node, "alpha", 1.0)
    beta = context.decimal(node, "beta", 1.0)
    trans_a = bool(node.attributes.get_int("transA", 0))
    trans_b = bool(node.attributes.get_int("transB", 0))
    path = context.path(node, ("weight", "bias"))
    plain = trans_b and not trans_a and alpha == 1 and (c is None or beta == 1)
    if path is None or not plain or b is None or not _one_for_each_output(b, c):
        operands = (context.tensor(a), context.tensor(b), context.optional(c))
        return context.call(node, gemm, *operands, alpha, beta, trans_a, trans_b)
    kept = context.parameter(b)
    layer = nn.Linear(kept.shape[1], kept.shape[0], bias=c is not None, device="meta")
    layer.weight = kept
    if c is not None:
        layer.bias = context.parameter(c)
    return context.layer(node, path, layer, context.tensor(a))


def convert_matmul(context: Context, node: ir.Node) -> fx.Node:
    """MatMul with numpy's broadcasting."""
    return context.call(node, torch.matmul, *(context.tensor(v) for v in node.inputs))


def _one_for_each_output(weight: ir.Value, bias: ir.Value | None) -> bool:
    if weight.shape is None or bias is None:
        return weight.shape is not None
    return bias.shape is not None and list(bias.shape) == [weight.shape[0]]


CONVERTERS = {("", "Gemm"): convert_gemm, ("", "MatMul"): convert_matmul}
