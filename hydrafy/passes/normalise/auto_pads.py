"""Writes automatic padding as the pads that it comes to."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.ir.titles import title
from hydrafy.ir.values import dims
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.edit import integers
from hydrafy.passes.normalise.pads import WINDOWED


@dataclass(frozen=True)
class ExplicitPads(Pass):
    """`auto_pad` of a Conv, AveragePool or MaxPool becomes `pads`.

    `SAME_UPPER` and `SAME_LOWER` make the result's size that of the input divided by the stride,
    rounded up; the odd pad is at the end or at the start.
    """

    name: ClassVar[str] = "explicit-pads"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: the sizes of a node's input are not known, `auto_pad` is no such word, or
                means two things.
        """
        written = 0
        for node in program.graph:
            mode = node.attributes.get_string("auto_pad", "NOTSET")
            if node.op_type not in WINDOWED or node.domain != "" or mode == "NOTSET":
                continue
            if mode not in ("SAME_LOWER", "SAME_UPPER", "VALID"):
                raise ModelError(f"{title(node)} has auto_pad = {mode!r}, which ONNX has not")
            dilated = any(d != 1 for d in integers(node, "dilations", [1]))
            if dilated and mode != "VALID" and node.op_type != "Conv":
                raise ModelError(
                    f"node {node.name!r} has auto_pad = {mode!r} and dilations, which onnxruntime "
                    "takes for another padding than ONNX: export it with pads"
                )
            node.attributes.pop("auto_pad")
            node.attributes["pads"] = ir.AttrInt64s("pads", _pads(node, mode))
            written += 1
        return [f"{written} nodes with auto_pad got pads"] if written else []


def _pads(node: ir.Node, mode: str) -> list[int]:
    """The pads at the starts of all axes, then those at their ends."""
    source, weight = node.inputs[0], node.inputs[1] if node.op_type == "Conv" else None
    assert source is not None
    sizes = dims(source)[1:]
    if mode == "VALID":
        return [0, 0] * len(sizes)
    kernel = integers(node, "kernel_shape", list(dims(weight)[1:]) if weight is not None else [])
    strides = integers(node, "strides", [1] * len(sizes))
    dilations = integers(node, "dilations", [1] * len(sizes))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    total = [
        max(0, (-(-size // stride) - 1) * stride + span - size)
        for size, stride, span in zip(sizes, strides, spans, strict=True)
    ]
    less, more = [t // 2 for t in total], [t - t // 2 for t in total]
    return less + more if mode == "SAME_UPPER" else more + less
