"""Completes types and shapes by ONNX's own inference, as far as the file allows."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.ir.program import Program
from hydrafy.ir.verify import BATCH
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class InferShapes(Pass):
    """Shape inference with data propagation; a CastLike then becomes the Cast that it means.

    An open first dimension of the input gets a name, so that inference can follow it.
    """

    name: ClassVar[str] = "infer-shapes"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        for value in program.data_inputs:
            if value.shape is not None and value.shape.rank() and _nameless(value.shape[0]):
                value.shape = ir.Shape([BATCH, *value.shape[1:]])
        onnx_ir.passes.common.ShapeInferencePass(check_type=False, data_prop=True)(program.model)
        turned = 0
        for node in program.graph:
            like = node.inputs[1] if node.op_type == "CastLike" else None
            if like is not None and like.dtype is not None:
                node.op_type = "Cast"
                node.attributes["to"] = ir.AttrInt64("to", like.dtype.value)
                node.resize_inputs(1)
                turned += 1
        return [f"{turned} CastLike nodes became Cast"] if turned else []


def _nameless(size: int | ir.SymbolicDim) -> bool:
    return isinstance(size, ir.SymbolicDim) and size.value is None
