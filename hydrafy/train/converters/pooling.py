"""MaxPool and AveragePool, over windows or all that there is."""

from collections.abc import Callable

import onnx_ir as ir
import torch
import torch.nn.functional as F
from torch import fx

from hydrafy.train.context import Context, Converter
from hydrafy.train.window import Window, fringe, missing, window

MAX: dict[int, Callable[..., torch.Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
MEAN: dict[int, Callable[..., torch.Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def max_pool(
    x: torch.Tensor,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    before: tuple[int, ...],
    after: tuple[int, ...],
    dilations: tuple[int, ...],
    ceil: bool,
) -> torch.Tensor:
    """Max-pooling over x [N, C, ...] whose pads are uneven, or wider than torch's layers allow."""
    shape = Window(kernel, strides, before, after, dilations, ceil)
    padded = F.pad(x, fringe(before, _whole(x, shape)), value=-torch.inf)
    return MAX[len(kernel)](padded, kernel, strides, 0, dilations)


def average_pool(
    x: torch.Tensor,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    before: tuple[int, ...],
    after: tuple[int, ...],
    ceil: bool,
    count_pads: bool,
) -> torch.Tensor:
    """Mean-pooling over x [N, C, ...] whose pads are uneven, or wider than torch's layers allow.

    A window's sum is divided by the number of its cells inside x, or inside x and its pads.
    """
    shape = Window(kernel, strides, before, after, (1,) * len(kernel), ceil)
    whole = _whole(x, shape)
    cells = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device)
    if count_pads:
        stated = tuple(min(a, w) for a, w in zip(after, whole, strict=True))
        cells = F.pad(cells, fringe(before, stated), value=1.0)
        rest = tuple(w - s for w, s in zip(whole, stated, strict=True))
        cells = F.pad(cells, fringe((0,) * len(kernel), rest))
    else:
        cells = F.pad(cells, fringe(before, whole))
    mean = MEAN[len(kernel)]
    return mean(F.pad(x, fringe(before, whole)), kernel, strides) / mean(cells, kernel, strides)


def global_average_pool(x: torch.Tensor) -> torch.Tensor:
    """The mean over all spatial axes of x [N, C, ...], which stay with size 1."""
    return x.mean(dim=tuple(range(2, x.dim())), keepdim=True)


def global_max_pool(x: torch.Tensor) -> torch.Tensor:
    """The maximum over all spatial axes of x [N, C, ...], which stay with size 1."""
    return x.amax(dim=tuple(range(2, x.dim())), keepdim=True)


def _whole(x: torch.Tensor, shape: Window) -> tuple[int, ...]:
    """The pads at the end of each axis with which whole windows cover it."""
    sizes = zip(x.shape[2:], shape.spans, shape.strides, shape.before, shape.after, strict=True)
    return tuple(missing(*axis, ceil=shape.ceil) for axis in sizes)


def convert_max(context: Context, node: ir.Node) -> fx.Node:
    """MaxPool; its second output, the indices, is refused where something reads it."""
    shape, x = _window(context, node), context.tensor(node.inputs[0])
    if _fits(shape):
        sizes = (shape.kernel, shape.strides, shape.before, shape.dilations, shape.ceil)
        return context.call(node, MAX[len(shape.kernel)], x, *sizes)
    ends = (shape.before, shape.after)
    return context.call(
        node, max_pool, x, shape.kernel, shape.strides, *ends, shape.dilations, shape.ceil
    )


def convert_average(context: Context, node: ir.Node) -> fx.Node:
    """AveragePool with or without its pads counted."""
    shape, x = _window(context, node), context.tensor(node.inputs[0])
    count_pads = bool(node.attributes.get_int("count_include_pad", 0))
    if any(d != 1 for d in shape.dilations):
        raise context.refuse(node, f"dilations = {list(shape.dilations)} are not supported")
    if _fits(shape):
        sizes = (shape.kernel, shape.strides, shape.before, shape.ceil, count_pads)
        return context.call(node, MEAN[len(shape.kernel)], x, *sizes)
    ends = (shape.before, shape.after)
    return context.call(
        node, average_pool, x, shape.kernel, shape.strides, *ends, shape.ceil, count_pads
    )


def _global(function: Callable[[torch.Tensor], torch.Tensor]) -> Converter:
    def convert(context: Context, node: ir.Node) -> fx.Node:
        return context.call(node, function, context.tensor(node.inputs[0]))

    return convert


def _window(context: Context, node: ir.Node) -> Window:
    kernel = tuple(node.attributes["kernel_shape"].as_ints())
    if len(kernel) not in MAX:
        raise context.refuse(node, f"its window has {len(kernel)} axes; 1 to 3 are supported")
    return window(context, node, kernel)


def _fits(shape: Window) -> bool:
    """Whether torch's own pooling can do it: even pads, none over half of the window."""
    return shape.even and all(2 * p <= k for p, k in zip(shape.before, shape.kernel, strict=True))


CONVERTERS: dict[tuple[str, str], Converter] = {
    ("", "MaxPool"): convert_max,
    ("", "AveragePool"): convert_average,
    ("", "GlobalMaxPool"): _global(global_max_pool),
    ("", "GlobalAveragePool"): _global(global_average_pool),
}
