"""Lets a 1x1 convolution pad images with zeros, in the blocked layout."""

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
    """A Pad of images with zeros becomes a convolution by ones, which pads.

    It works on each channel alone, or where channels are added, as type-A shortcuts do, it copies
    them to their places. onnxruntime has no Pad in its blocked layout: what follows one is laid
    out for each reader apart, a sum of such readers is not fused, and fails for an empty batch.
    """

    name: ClassVar[str] = "pad-by-convolution"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes = []
        for node in list(program.graph):
            added = _added(node)
            if added is None:
                continue
            source = node.inputs[0]
            assert source is not None
            kernel = _kernel(channels(source), *added[:, 1].tolist())
            weight = build.weight(program.graph, f"{node.name}.ones", kernel)
            padded = build.op(
                "Conv",
                [source, weight],
                f"{node.name}.conv",
                group=1 if kernel.shape[1] > 1 else len(kernel),
                kernel_shape=[1, 1],
                pads=added[:, 2:].ravel().tolist(),
            )
            program.graph.insert_before(node, padded)
            node.outputs[0].replace_all_uses_with(padded.outputs[0])
            program.graph.remove(node, safe=True)
            notes.append(f"{node.name!r} pads by a convolution")
        return notes


def _added(node: ir.Node) -> np.ndarray | None:
    """The margins [2, 4] of a Pad that adds zeros to images; to the batch, nothing."""
    added = margins(node)
    if added is None or added.shape[1] != 4 or not pads_zeros(node):
        return None
    plain = not added[:, 0].any() and (added >= 0).all() and not node.outputs[0].is_graph_output()
    return added if plain else None


def _kernel(size: int, before: int, behind: int) -> np.ndarray:
    """The weights [O, I, 1, 1] that copy channels; I is 1 where none are added."""
    if not before + behind:
        return np.ones((size, 1, 1, 1), np.float32)
    rows = np.pad(np.eye(size, dtype=np.float32), ((before, behind), (0, 0)))
    return rows[:, :, None, None]
