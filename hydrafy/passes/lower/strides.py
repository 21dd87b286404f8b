"""Lets a 1x1 convolution take a stride instead of reading a strided slice."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.layers import is_pointwise
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant, dims
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class StrideConvolutions(Pass):
    """`Conv1x1(x[:, :, ::s, ::t])` becomes a Conv1x1 of strides s, t on x, in the blocked layout.

    Exporters write such slices for shortcuts of type A; each costs a change of layout.
    """

    name: ClassVar[str] = "stride-convolutions"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes = []
        for node in list(program.graph):
            if not is_pointwise(node):
                continue
            source, strides = node.inputs[0], [1, 1]
            while source is not None and (found := _strides(source.producer())) is not None:
                strides = [a * b for a, b in zip(strides, found, strict=True)]
                producer = source.producer()
                source = producer.inputs[0] if producer is not None else None
            if strides != [1, 1] and source is not None:
                node.replace_input_with(0, source)
                node.attributes["strides"] = ir.AttrInt64s("strides", strides)
                notes.append(f"{node.name!r} takes strides {strides} from a slice")
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        return notes


def _strides(node: ir.Node | None) -> list[int] | None:
    """The steps along H and W of a Slice that takes every s-th element, first to last."""
    if node is None or node.op_type != "Slice" or len(node.inputs) < 5:
        return None
    starts, ends, axes, steps = (constant(v) for v in node.inputs[1:5])
    source = node.inputs[0]
    if starts is None or ends is None or axes is None or steps is None or source is None:
        return None
    found = [1, 1]
    for start, end, axis, step in zip(starts, ends, axes % 4, steps, strict=True):
        if axis not in (2, 3) or start != 0 or step < 1 or end < dims(source)[axis - 1]:
            return None
        found[axis - 2] = int(step)
    return found
