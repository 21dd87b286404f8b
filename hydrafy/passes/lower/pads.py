"""Lets a depthwise 1x1 convolution pad images with zeros, in the blocked layout."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.layers import channels, margins, pads_zeros
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class PadByConvolution(Pass):
    """A Pad of height and width with zeros becomes a convolution by one, which pads.

    onnxruntime has no Pad in its blocked layout. What follows one is then laid out for each reader
    apart, a sum of such readers is not fused, and fails for an empty batch.
    """

    name: ClassVar[str] = "pad-by-convolution"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes = []
        for node in list(program.graph):
            pads = _pads(node)
            if pads is None:
                continue
            size = channels(node.outputs[0])
            ones = np.ones((size, 1, 1, 1), np.float32)
            weight = build.weight(program.graph, f"{node.name}.ones", ones)
            padded = build.op(
                "Conv",
                [node.inputs[0], weight],
                f"{node.name}.conv",
                group=size,
                kernel_shape=[1, 1],
                pads=pads,
            )
            program.graph.insert_before(node, padded)
            node.outputs[0].replace_all_uses_with(padded.outputs[0])
            program.graph.remove(node, safe=True)
            notes.append(f"{node.name!r} pads by a convolution")
        return notes


def _pads(node: ir.Node) -> list[int] | None:
    """The margins (top, left, bottom, right) of a Pad that adds zeros there, and nowhere else."""
    added = margins(node)
    if added is None or added.shape[1] != 4 or not pads_zeros(node):
        return None
    plain = not added[:, :2].any() and (added >= 0).all() and not node.outputs[0].is_graph_output()
    return added[:, 2:].ravel().tolist() if plain else None
