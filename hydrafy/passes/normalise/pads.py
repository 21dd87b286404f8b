"""Lets convolutions and pooling pad by themselves instead of reading what a Pad computed."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.signs import non_negative
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.edit import integers, set_constant

WINDOWED = frozenset({"AveragePool", "Conv", "MaxPool"})


@dataclass(frozen=True)
class FoldPads(Pass):
    """A Pad of H and W by zeros becomes `pads` of the Conv, AveragePool or MaxPool behind it.

    An AveragePool then counts its pads. A MaxPool pads with minus infinity: the same only where no
    value is negative. No pooling may have a window that is all padding. A Pad that must stay names
    its axes: any other onnxruntime 1.31 would fold, wrongly.
    """

    name: ClassVar[str] = "fold-pads"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes, signs = [], non_negative(program.graph)
        for node in program.graph:
            if node.op_type not in WINDOWED or node.domain != "":
                continue
            source = node.inputs[0]
            pad = source.producer() if source is not None else None
            ends = _zeros_around(pad)
            if pad is None or ends is None:
                continue
            if (reason := _obstacle(node, pad.inputs[0] in signs, ends)) is None:
                _fold(node, pad, ends)
                notes.append(f"{node.name!r} pads by {ends} itself")
            else:
                _name_axes(program.graph, pad, ends)
                notes.append(f"the Pad before {node.name!r} stays: {reason}")
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        return notes


def _zeros_around(node: ir.Node | None) -> list[int] | None:
    """How many zeros a Pad adds [top, left, bottom, right]; None if it does anything else."""
    if node is None or node.op_type != "Pad" or len(node.outputs[0].shape or ()) != 4:
        return None
    pads, fill, axes = ([constant(v) for v in node.inputs[1:]] + [None, None])[:3]
    named = len(node.inputs) > 3 and node.inputs[3] is not None
    valued = len(node.inputs) > 2 and node.inputs[2] is not None
    if pads is None or (named and axes is None) or (valued and (fill is None or fill.item() != 0)):
        return None
    if node.attributes.get_string("mode", "constant") != "constant":
        return None
    ends = np.zeros((2, 4), np.int64)
    ends[:, np.arange(4) if axes is None else axes] = pads.reshape(2, -1)
    if ends[:, :2].any() or (ends < 0).any():
        return None
    return [int(end) for end in ends[:, 2:].ravel()]


def _obstacle(node: ir.Node, non_negative: bool, ends: list[int]) -> str | None:
    """Why a node cannot pad by itself."""
    if node.attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return "the node pads automatically, too"
    if node.op_type == "Conv":
        return None
    own = integers(node, "pads", [0] * len(ends))
    if node.attributes.get_int("ceil_mode", 0):
        return "windows may reach beyond the pads"
    if node.op_type == "AveragePool":
        counts = node.attributes.get_int("count_include_pad", 0)
        if any(own) and not counts:
            return "the node does not count its own pads"
    elif any(own) or len(node.outputs) > 1:
        return "the node has pads of its own, or an output for places"
    elif not non_negative:
        return "zeros around values that may be negative are no padding of a MaxPool"
    kernel = integers(node, "kernel_shape", [1, 1])
    dilated = any(d != 1 for d in integers(node, "dilations", [1]))
    both = [a + b for a, b in zip(own, ends, strict=True)]
    if dilated or any(end >= size for end, size in zip(both, kernel * 2, strict=True)):
        return "a window may be all padding"
    return None


def _fold(node: ir.Node, pad: ir.Node, ends: list[int]) -> None:
    own = integers(node, "pads", [0] * len(ends))
    both = [a + b for a, b in zip(own, ends, strict=True)]
    node.attributes.pop("auto_pad", None)
    node.attributes["pads"] = ir.AttrInt64s("pads", both)
    if node.op_type == "AveragePool":
        node.attributes["count_include_pad"] = ir.AttrInt64("count_include_pad", 1)
    node.replace_input_with(0, pad.inputs[0])


def _name_axes(graph: ir.Graph, pad: ir.Node, ends: list[int]) -> None:
    set_constant(graph, pad, 1, np.array(ends, np.int64))
    set_constant(graph, pad, 3, np.array([2, 3], np.int64))
