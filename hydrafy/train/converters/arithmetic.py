"""Add, Sub, Mul, Div, Pow, Sum and Sqrt, element by element with broadcasting."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import onnx_ir as ir
import torch
from torch import fx

from hydrafy.train.context import Context, Converter


def total(*operands: torch.Tensor) -> torch.Tensor:
    """The sum of all operands."""
    return functools.reduce(operator.add, operands)


def _operands(function: Callable[..., Any]) -> Converter:
    def convert(context: Context, node: ir.Node) -> fx.Node:
        return context.call(node, function, *(context.tensor(v) for v in node.inputs))

    return convert


def convert_div(context: Context, node: ir.Node) -> fx.Node:
    """Div of floats; a quotient of integers, which ONNX rounds towards zero, is refused."""
    dividend = node.inputs[0]
    if dividend is not None and dividend.dtype is not None and dividend.dtype.is_integer():
        raise context.refuse(node, "it divides integers")
    return _operands(operator.truediv)(context, node)


def convert_sum(context: Context, node: ir.Node) -> fx.Node:
    """Sum of one or more operands."""
    return context.call(node, total, *(context.tensor(v) for v in node.inputs))


CONVERTERS: dict[tuple[str, str], Converter] = {
    ("", "Add"): _operands(operator.add),
    ("", "Sub"): _operands(operator.sub),
    ("", "Mul"): _operands(operator.mul),
    ("", "Div"): convert_div,
    ("", "Pow"): _operands(torch.pow),
    ("", "Sum"): convert_sum,
    ("", "Sqrt"): _operands(torch.sqrt),
}
