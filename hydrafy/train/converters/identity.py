"""Identity and Cast: the same numbers, perhaps in another type."""

import onnx_ir as ir
import torch
from torch import fx

from hydrafy.train.context import Context

TYPES = {
    ir.DataType.FLOAT: torch.float32,
    ir.DataType.DOUBLE: torch.float64,
    ir.DataType.FLOAT16: torch.float16,
    ir.DataType.BFLOAT16: torch.bfloat16,
    ir.DataType.UINT8: torch.uint8,
    ir.DataType.INT8: torch.int8,
    ir.DataType.INT16: torch.int16,
    ir.DataType.INT32: torch.int32,
    ir.DataType.INT64: torch.int64,
    ir.DataType.BOOL: torch.bool,
}


def identity(x: torch.Tensor) -> torch.Tensor:
    """Returns x."""
    return x


def cast(x: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    """Returns x with its numbers in another type."""
    return x.to(kind)


def convert_identity(context: Context, node: ir.Node) -> fx.Node:
    """Identity."""
    return context.call(node, identity, context.tensor(node.inputs[0]))


def convert_cast(context: Context, node: ir.Node) -> fx.Node:
    """Cast between the types that both sides have."""
    wanted = ir.DataType(node.attributes["to"].as_int())
    if wanted not in TYPES:
        raise context.refuse(node, f"torch has no such type as {wanted.name}")
    return context.call(node, cast, context.tensor(node.inputs[0]), TYPES[wanted])


CONVERTERS = {("", "Identity"): convert_identity, ("", "Cast"): convert_cast}
