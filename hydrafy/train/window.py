"""The sliding window of a convolution or pooling, as ONNX's attributes give it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.train.context import Context


@dataclass(frozen=True)
class Window:
    """Sizes for each spatial axis; `before` and `after` are the pads at its two ends."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    dilations: tuple[int, ...]
    ceil: bool

    @property
    def even(self) -> bool:
        """Whether both ends of each axis are padded alike, which is all that torch's layers do."""
        return self.before == self.after

    @property
    def spans(self) -> tuple[int, ...]:
        """How far the window reaches along each axis, dilation included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def padding(self) -> tuple[int, ...]:
        """One number for each axis if the pads are even, else two, as `fringe` orders them."""
        return self.before if self.even else fringe(self.before, self.after)


def window(context: Context, node: ir.Node, kernel: tuple[int, ...]) -> Window:
    """The window of a Conv or pooling node whose kernel has these sizes.

    Raises:
        ModelError: the node leaves its pads to a rule (auto_pad = SAME_UPPER or SAME_LOWER).
    """
    attributes = node.attributes
    auto = attributes.get_string("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", ""):
        raise context.refuse(node, f"auto_pad = {auto} is not supported; export with explicit pads")
    axes = len(kernel)
    ones, zeros = (1,) * axes, (0,) * axes * 2
    pads = tuple(attributes.get_ints("pads", zeros)) if auto != "VALID" else zeros
    return Window(
        kernel=kernel,
        strides=tuple(attributes.get_ints("strides", ones)),
        before=pads[:axes],
        after=pads[axes:],
        dilations=tuple(attributes.get_ints("dilations", ones)),
        ceil=bool(attributes.get_int("ceil_mode", 0)),
    )


def fringe(before: Sequence[int], after: Sequence[int]) -> tuple[int, ...]:
    """Pads in the order of `torch.nn.functional.pad`: from the last axis on, both ends of each."""
    pairs = zip(reversed(before), reversed(after), strict=True)
    return tuple(pad for pair in pairs for pad in pair)


def missing(size: int, span: int, stride: int, before: int, after: int, *, ceil: bool) -> int:
    """How many cells an axis lacks at its end, so that whole windows cover it.

    A window that would start in the padding at the end does not count, in ONNX as in torch.
    The number is negative where the last cells are under no window.
    """
    room = size + before + after - span
    steps = math.ceil(room / stride) if ceil else room // stride
    if ceil and steps * stride >= size + before:
        steps -= 1
    return steps * stride + span - size - before
