"""Pad: by a constant, or by what is at the edge."""

import onnx_ir as ir
import torch.nn.functional as F
from torch import fx

from hydrafy.train.context import Context
from hydrafy.train.window import fringe

MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def convert(context: Context, node: ir.Node) -> fx.Node:
    """Pad with constant pads; other modes than `constant` pad all spatial axes and no other."""
    source, pads = node.inputs[0], context.ints(node, 1)
    if source is None or source.shape is None or pads is None:
        raise context.refuse(node, "its input's rank or its pads are not known")
    rank, axes = source.shape.rank(), context.ints(node, 3)
    axes = list(range(rank)) if axes is None else axes
    before, after = [0] * rank, [0] * rank
    for place, axis in enumerate(axes):
        before[axis], after[axis] = pads[place], pads[place + len(axes)]
    mode = node.attributes.get_string("mode", "constant")
    if mode == "constant":
        fill = context.constant(node, 2)
        value = 0.0 if fill is None else fill.item()
        order = fringe(before, after)
        return context.call(node, F.pad, context.tensor(source), order, mode, value)
    if mode not in MODES or any(before[:2]) or any(after[:2]) or rank < 3:
        raise context.refuse(node, f"mode = {mode} is supported for spatial axes only")
    order = fringe(before[2:], after[2:])
    return context.call(node, F.pad, context.tensor(source), order, MODES[mode])


CONVERTERS = {("", "Pad"): convert}
