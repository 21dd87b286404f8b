"""Brings networks of half, brain and double floats to single precision."""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass

OTHERS = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE})
TYPED = ("to", "dtype")  # the attributes that name a type


@dataclass(frozen=True)
class SinglePrecision(Pass):
    """Weights, results, inputs and outputs of other float types become float32.

    A half that was widened is the same number; a double is rounded. The casts in between are left
    as casts from float32 to float32.
    """

    name: ClassVar[str] = "single-precision"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        found: Counter[str] = Counter()
        for graph in program.model.graphs():
            for weight in graph.initializers.values():
                if weight.const_value is not None and weight.const_value.dtype in OTHERS:
                    found[weight.const_value.dtype.name.lower()] += 1
                    weight.const_value = _single(weight.const_value)
            for value in (*graph.inputs, *graph.initializers.values()):
                _retype(value)
            for node in graph:
                for attribute in list(node.attributes.values()):
                    _readdress(node, attribute)
                for value in node.outputs:
                    _retype(value)
        kinds = " and ".join(sorted(found))
        return [f"{found.total()} weights of {kinds} became float32"] if found else []


def _single(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    return ir.tensor(tensor.numpy().astype(np.float32), name=tensor.name)


def _retype(value: ir.Value) -> None:
    if value.dtype in OTHERS:
        value.dtype = ir.DataType.FLOAT


def _readdress(node: ir.Node, attribute: ir.Attr) -> None:
    name = attribute.name
    if name in TYPED and attribute.type == ir.AttributeType.INT and attribute.as_int() in OTHERS:
        node.attributes[name] = ir.AttrInt64(name, ir.DataType.FLOAT.value)
    if attribute.type == ir.AttributeType.TENSOR and attribute.as_tensor().dtype in OTHERS:
        node.attributes[name] = ir.AttrTensor(name, _single(attribute.as_tensor()))
