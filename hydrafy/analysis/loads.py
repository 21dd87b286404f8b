"""Loads: what each node has to compute and to move, as onnxruntime's CPU provider will run it.

It fuses a convolution with the BatchNormalization, the Add and the activation behind it, and runs
what it can in a layout of blocks of 8 or 16 channels; where a node cannot, the tensor is brought
back first. Channels that fill no block are computed all the same.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

import onnx_ir as ir

from hydrafy.analysis.cost import macs, weights
from hydrafy.analysis.predication.need import SIDES, alive, region
from hydrafy.analysis.rows import is_batched
from hydrafy.ir import ops
from hydrafy.ir.program import Program

FUSED = frozenset({"Clip", "HardSigmoid", "LeakyRelu", "Relu", "Sigmoid", "Tanh"})
BLOCKED = ops.EACH | ops.WINDOWS | ops.GLOBAL | {"Add", "BatchNormalization", "Concat", "Sum"}
POOLS = frozenset({"AveragePool", "MaxPool"})
COMPUTE = ("spatial", "pointwise", "grouped", "shallow", "matrix")
MOVE = ("pool", "copy", "view", "layout", "control", "region")
FUSED_IN = "fused"
KINDS = (*COMPUTE, *MOVE)
"""Convolutions of windows, of points, in groups and of few channels, and matrices; pooling, what
reads and writes, views, changes of layout, Ifs, and the way of rows into a region and back. What
is fused into another node is of none of them, but moves bytes."""

FINDING = 4  # nodes that tell which rows a predicate holds for, and whether it does for any


@dataclass(frozen=True)
class Load:
    """Work of one kind: multiply-accumulates and bytes of one image, and bytes of weights."""

    kind: str
    macs: float = 0.0
    bytes: float = 0.0
    weights: float = 0.0


def loads(program: Program, block: int) -> Iterator[tuple[ir.Node, Load]]:
    """The loads of a program's nodes; those that are fused with others have none, some several.

    Args:
        program: of any stage; where shapes are not known, sizes count as small as they can be. A
            Select counts as the regions that it is lowered to, and what is done for the rows of a
            region alone as the work of a node in there.
        block: channels in a block.
    """
    regions = dict(_regions(program)) if program.stage == "dynamic" else {}
    yield from _of(program.graph, block, regions)


def dense(program: Program, block: int) -> Iterator[tuple[ir.Node, Load]]:
    """Like `loads`, but a Select counts as a choice between two values that are there."""
    yield from _of(program.graph, block, {})


def entering(values: Iterable[ir.Value], *, rows: bool) -> Iterator[Load]:
    """What brings values into a region: their rows are gathered, and images get into blocks.

    Args:
        values: what the region reads from outside.
        rows: whether it runs on some rows of a batch.
    """
    for value in values:
        if rows and is_batched(value):
            yield Load("region", bytes=2 * _bytes(value))
        yield from _turned(value)


def leaving(value: ir.Value) -> Iterator[Load]:
    """What brings the result of a region out of its blocks."""
    yield from _turned(value)


def choosing(values: Iterable[ir.Value], *, rows: bool) -> Iterator[Load]:
    """What is done beside a region in any case: its If, finding rows, and putting them back.

    Args:
        values: the results.
        rows: whether it runs on some rows of a batch.
    """
    yield Load("control")
    if rows:
        yield from [Load("copy")] * FINDING
        yield from (Load("region", bytes=2 * _bytes(value)) for value in values)


def choice(select: ir.Node) -> Iterator[Load]:
    """What a Select does without regions: a Where, or an If for the whole batch, which copies."""
    pred, size = select.inputs[0], _bytes(select.outputs[0])
    if pred is not None and is_batched(pred):
        yield Load("copy", bytes=3 * size)
    else:
        yield Load("control")
        yield Load("copy", bytes=2 * size)


def captured(inside: Collection[ir.Node]) -> list[ir.Value]:
    """What some nodes read that is computed elsewhere, each value once."""
    mine = {v for node in inside for v in node.outputs}
    read = dict.fromkeys(v for n in inside for v in n.inputs if v is not None and v not in mine)
    return [v for v in read if not v.is_initializer()]


def convolution(channels: int, kernel: tuple[int, ...], block: int) -> str:
    """The kind of a convolution, from the channels it reads and its weights' shape [O, I, ...]."""
    if channels > kernel[1]:
        return "grouped"
    if channels < block:
        return "shallow"
    return "pointwise" if math.prod(kernel[2:]) == 1 else "spatial"


@dataclass
class _State:
    """What is known while a graph is walked through, node by node."""

    blocked: set[ir.Value] = field(default_factory=set)
    plain: set[ir.Value] = field(default_factory=set)  # was brought back already
    open: dict[ir.Value, bool] = field(default_factory=dict)  # may still be fused; an Add, too?


Regions = dict[ir.Node, list[list[ir.Node]]]


def _regions(program: Program) -> Iterator[tuple[ir.Node, list[list[ir.Node]]]]:
    """The regions of each Select that has any, as it will be lowered."""
    role, needed = program.manifest.role, alive(program)
    kept = {v.producer() for v in program.graph.outputs if role(v.name or "") != "training"}
    for node in program.graph:
        if ops.is_select(node):
            sides = (region(node, side, needed, lambda n: n not in kept) for side in SIDES)
            if found := [side for side in sides if side]:
                yield node, found


def _of(graph: ir.Graph, block: int, regions: Regions) -> Iterator[tuple[ir.Node, Load]]:
    state = _State()
    for node in graph:
        if node in regions:
            yield from _select(node, regions[node], state)
        elif ops.is_select(node):
            yield from ((node, one) for one in (*_changes(node, block, state), *choice(node)))
        elif node.domain == ops.DOMAIN:
            for inner in ops.function(node.op_type):
                if inner.op_type != "Constant":
                    yield node, Load("copy")
        elif _fuse(node, state):
            yield from _added(node)
        elif node.op_type not in ("Constant", "Identity"):
            yield from ((node, one) for one in _changes(node, block, state))
            yield node, _load(node, block, state)
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                yield from _of(attribute.as_graph(), block, regions)
    for value in graph.outputs:
        maker = value.producer()
        if maker is not None and value in state.blocked and value not in state.plain:
            yield from ((maker, one) for one in _turned(value))


def _select(
    node: ir.Node, sides: list[list[ir.Node]], state: _State
) -> Iterator[tuple[ir.Node, Load]]:
    """What a Select costs besides its regions; what is done for their rows counts in there."""
    pred, out = node.inputs[0], node.outputs[0]
    rows = pred is not None and is_batched(pred)
    made = {v for inside in sides for member in inside for v in member.outputs}
    outer = [v for v in node.inputs[1:] if v is not None and v not in made]
    for inside in sides:
        read = captured(inside)
        outer += read
        yield from ((inside[0], load) for load in (*entering(read, rows=rows), *leaving(out)))
        yield from ((node, load) for load in choosing([out], rows=rows))
    for value in dict.fromkeys(outer):
        if value in state.blocked and value not in state.plain:
            state.plain.add(value)
            yield node, Load("layout", bytes=2 * _bytes(value))


def _fuse(node: ir.Node, state: _State) -> bool:
    """Whether the node becomes a part of a convolution, or of a matrix product, before it."""
    for value in node.inputs:
        if value is None or value not in state.open or len(value.uses()) != 1:
            continue
        added = state.open[value]
        others = [v for v in node.inputs if v is not value and v is not None]
        if node.op_type == "BatchNormalization" and not added:
            state.open[node.outputs[0]] = False
        elif node.op_type == "Add" and not added and all(v in state.blocked for v in others):
            state.open[node.outputs[0]] = True
        elif node.op_type not in FUSED:
            continue
        if value in state.blocked:
            state.blocked.add(node.outputs[0])
        return True
    return False


def _added(node: ir.Node) -> Iterator[tuple[ir.Node, Load]]:
    """What is read besides by an Add that a convolution does."""
    if node.op_type == "Add":
        yield node, Load(FUSED_IN, bytes=_bytes(node.outputs[0]))


def _changes(node: ir.Node, block: int, state: _State) -> Iterator[Load]:
    """Tensors that are brought into blocks or back for this node, each back once only."""
    out = node.outputs[0]
    read = [v for v in node.inputs if v is not None and v.producer() is not None]
    images = [v for v in read if v.shape is not None and v.shape.rank() == 4]
    if node.op_type == "Conv":
        blocks = _channels(images[0]) >= block if images else False
        state.blocked.add(out)
        state.open[out] = False
    elif node.op_type in POOLS and images and _channels(images[0]) % block == 0:
        blocks = True  # whatever the layout was
        state.blocked.add(out)
    else:
        able = node.op_type in BLOCKED and node.domain == ""
        blocks = able and bool(images) and all(v in state.blocked for v in images)
        if blocks and _channels(out) % block == 0:
            state.blocked.add(out)
            if node.op_type == "BatchNormalization":  # it becomes a convolution of each channel
                state.open[out] = False
        if node.op_type in ("Gemm", "MatMul"):
            state.open[out] = True
    for value in dict.fromkeys(images):
        back = not blocks and value in state.blocked and value not in state.plain
        if back:
            state.plain.add(value)
        if back or (blocks and value not in state.blocked):
            yield Load("layout", bytes=2 * _bytes(value))


def _load(node: ir.Node, block: int, state: _State) -> Load:
    moved = sum(map(_bytes, node.outputs))
    moved += sum(_bytes(v) for v in node.inputs if v is not None and not v.is_initializer())
    if node.op_type == "If":
        return Load("control")
    if node.op_type in ("GatherND", "ScatterND", "Compress"):
        return Load("region", bytes=moved)
    if node.op_type in ops.VIEWS or node.op_type == "Shape":
        return Load("view")
    if node.op_type in POOLS | ops.GLOBAL:
        return Load("pool", bytes=moved)
    if node.op_type == "BatchNormalization" and node.outputs[0] in state.blocked:
        return Load("grouped", _numbers(node.outputs[0]), moved, 4 * _channels(node.outputs[0]))
    spent, held = macs(node), sum(4 * _numbers(v) for v in weights([node]))
    if node.op_type == "Conv" and (kernel := _shape(node.inputs[1])):
        filled = math.ceil(kernel[0] / block) * block / kernel[0]
        kind = convolution(_channels(node.inputs[0]), kernel, block)
        return Load(kind, spent * filled, moved, held * filled)
    return Load("matrix" if spent else "copy", spent, moved, held if spent else 0.0)


def _turned(value: ir.Value) -> Iterator[Load]:
    """The change of layout of an image, into blocks or back."""
    if len(_shape(value)) == 4:
        yield Load("layout", bytes=2 * _bytes(value))


def _channels(value: ir.Value | None) -> int:
    shape = _shape(value)
    return shape[1] if len(shape) > 1 else 0


def _shape(value: ir.Value | None) -> tuple[int, ...]:
    if value is None or value.shape is None:
        return ()
    return tuple(d if isinstance(d, int) else 1 for d in value.shape)


def _numbers(value: ir.Value | None) -> int:
    return math.prod(_shape(value))


def _bytes(value: ir.Value | None) -> int:
    return 4 * _numbers(value)
