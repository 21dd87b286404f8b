"""Which ops compute the same on images in onnxruntime's blocked layout, and what they then read."""

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.ir import ops
from hydrafy.ir.values import constant

BLOCKED = "com.microsoft.nchwc"
"""The domain of the blocked kernels: an image is [N, C/b, H, W, b], said to be [N, C, H, W].

C is filled up to whole blocks; what reads an image has zero weights there. Rows stay rows.
"""

ALIGNED = 4  # ReorderInput takes channels in groups of as many


@dataclass(frozen=True)
class Twin:
    """The blocked value that holds what a plain one does, and how many channels are true."""

    value: ir.Value
    channels: int


Twins = dict[ir.Value | None, Twin]
"""The twins of plain values."""


@dataclass(frozen=True)
class Moved:
    """A node that may compute in the blocked layout: the channels of its result, its domain.

    `turned` are the places of inputs that have no twin and must be brought into the layout.
    """

    channels: int
    domain: str = ""
    turned: tuple[int, ...] = ()


Rule = Callable[[ir.Node, Twins, int], Moved | None]


def rule(node: ir.Node) -> Rule:
    """When a node may read the twins of its inputs: called with it, the twins and the block."""
    return _RULES.get(node.op_type, _never) if node.domain == "" else _never


def filled(shape: ir.Shape, block: int) -> ir.Shape:
    """The shape [N, C, H, W] of a plain value in the blocked layout; the same if C is unknown."""
    rows, channels, *rest = shape
    if not isinstance(channels, int):
        return shape
    return ir.Shape([rows, -(-channels // block) * block, *rest])


def _never(node: ir.Node, twins: Twins, block: int) -> Moved | None:
    return None


def _each(node: ir.Node, twins: Twins, block: int) -> Moved | None:
    twin = twins.get(node.inputs[0])
    alone = all(v is None or constant(v) is not None for v in node.inputs[1:])
    return Moved(twin.channels) if twin is not None and alone else None


def _pool(node: ir.Node, twins: Twins, block: int) -> Moved | None:
    twin = twins.get(node.inputs[0])
    return Moved(twin.channels, BLOCKED) if twin is not None and len(node.outputs) == 1 else None


def _sum(node: ir.Node, twins: Twins, block: int) -> Moved | None:
    """A plain operand of the same shape is turned: one change of layout in place of two."""
    joined = _both(node, twins, block)
    if joined is not None:
        return joined
    known = [v for v in node.inputs if v in twins]
    plain = tuple(i for i, v in enumerate(node.inputs) if v not in twins)
    same = known and all(_image(v) == _image(known[0]) is not None for v in node.inputs)
    if not same or twins[known[0]].channels % ALIGNED:
        return None
    return Moved(twins[known[0]].channels, turned=plain)


def _both(node: ir.Node, twins: Twins, block: int) -> Moved | None:
    """All operands are twins of images of one shape, or scalars."""
    return _alike(list(node.inputs), twins)


def _alike(values: list[ir.Value | None], twins: Twins) -> Moved | None:
    images = [v for v in values if not _is_scalar(v)]
    same = images and all(_image(v) == _image(images[0]) is not None for v in images)
    if not same or not all(v in twins for v in images):
        return None
    return Moved(twins[images[0]].channels)


def _where(node: ir.Node, twins: Twins, block: int) -> Moved | None:
    """Whole rows are chosen, or the whole batch."""
    pred, *sides = node.inputs
    rank = pred.shape.rank() if pred is not None and pred.shape is not None else None
    by_row = rank == 0 or _image(pred) == (1, 1, 1)
    return _alike(sides, twins) if by_row else None


def _concat(node: ir.Node, twins: Twins, block: int) -> Moved | None:
    """Whole blocks of channels lie one after the other."""
    found = [twins[v].channels for v in node.inputs if v in twins]
    whole = len(found) == len(node.inputs) and not any(c % block for c in found)
    return Moved(sum(found)) if whole and node.attributes["axis"].as_int() == 1 else None


def _gather(node: ir.Node, twins: Twins, block: int) -> Moved | None:
    source, rows = node.inputs
    of_rows = _are_rows(rows) and not node.attributes.get_int("batch_dims", 0)
    return Moved(twins[source].channels) if source in twins and of_rows else None


def _scatter(node: ir.Node, twins: Twins, block: int) -> Moved | None:
    """Numbers that are all the same are so in any layout, if they fill whole blocks."""
    onto, rows, put = node.inputs
    if put not in twins or not _are_rows(rows):
        return None
    channels = twins[put].channels
    uniform = _is_uniform(onto) and not channels % block
    return Moved(channels) if onto in twins or uniform else None


def _are_rows(value: ir.Value | None) -> bool:
    """Whether numbers of rows, int64 [P, 1], as lowering writes them."""
    return value is not None and value.shape is not None and value.shape[-1] == 1


def _is_uniform(value: ir.Value | None) -> bool:
    node = value.producer() if value is not None else None
    if node is None:
        return False
    return node.op_type == "ConstantOfShape" or (
        node.op_type == "Expand" and _is_scalar(node.inputs[0])
    )


def _is_scalar(value: ir.Value | None) -> bool:
    array = constant(value)
    return array is not None and array.size == 1


def _image(value: ir.Value | None) -> tuple[int | ir.SymbolicDim, ...] | None:
    """(C, H, W) of a value [N, C, H, W]."""
    shape = value.shape if value is not None else None
    return tuple(shape[1:]) if shape is not None and shape.rank() == 4 else None


_RULES: dict[str, Rule] = {
    **dict.fromkeys(ops.EACH - {"Cast"}, _each),
    **dict.fromkeys(("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"), _pool),
    **dict.fromkeys(("Add", "Sum"), _sum),
    **dict.fromkeys(("Mul", "Sub"), _both),  # a Div of the zeros that fill a block makes NaN
    "Concat": _concat,
    "GatherND": _gather,
    "ScatterND": _scatter,
    "Where": _where,
}
