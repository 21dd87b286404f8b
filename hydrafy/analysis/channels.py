"""Channel groups: which channels must be kept or dropped together when a network is narrowed."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import networkx
import numpy as np
import onnx_ir as ir

from hydrafy.analysis.cost import macs
from hydrafy.analysis.cuts import data_values
from hydrafy.ir.values import constant, dims

_SAME = frozenset({
    "AveragePool", "BatchNormalization", "Cast", "Clip", "GlobalAveragePool", "HardSigmoid",
    "HardSwish", "Identity", "MaxPool", "Relu", "Sigmoid",
})  # fmt: skip
_JOIN = frozenset({"Add", "Div", "Mul", "Sub", "Sum"})

Kept = Mapping[ir.Value, np.ndarray]


@dataclass(frozen=True)
class Group:
    """Values whose channels correspond one to one, and the nodes that make them.

    `free` says whether channels may be dropped; `strength` [channels] ranks them: the norm of a
    channel's filters, scaled by its BatchNormalization, each layer's mean being 1.
    """

    values: tuple[ir.Value, ...]
    channels: int
    free: bool
    strength: np.ndarray


def groups(
    nodes: Iterable[ir.Node],
    entry: ir.Value,
    same: Iterable[tuple[ir.Value, ir.Value]] = (),
) -> list[Group]:
    """The coupled channel groups of the 4-d values that `nodes` compute from `entry`.

    Args:
        nodes: a part of the network in topological order.
        entry: the cut it starts from. Its own channels stay, but where a shortcut adds it to
            narrowed channels, it belongs to their group and the sum takes the kept ones.
        same: further pairs of values to couple: entry and exit of blocks that are left out.
    """
    nodes = list(nodes)
    coupled: networkx.Graph = networkx.Graph()
    coupled.add_node(entry)
    coupled.add_edges_from(same)
    fixed: set[ir.Value] = set()
    for node in nodes:
        out = node.outputs[0]
        if out.shape is None or out.shape.rank() != 4:
            fixed |= {v for v in data_values(node) if v.shape is not None and v.shape.rank() == 4}
            continue
        coupled.add_node(out)
        sources, free = _relation(node)
        alike = [v for v in sources if channels(v) == channels(out)]
        coupled.add_edges_from((out, v) for v in alike)
        if not free or len(alike) < len(sources):
            fixed |= {out, *data_values(node)}
    return [_group(found, nodes, fixed) for found in networkx.connected_components(coupled)]


def keep(found: Iterable[Group], width: float) -> dict[ir.Value, np.ndarray]:
    """The channels that stay at relative width `width`: each group's strongest, in their order.

    At least one channel of each group stays; groups that are not free keep all.
    """
    kept = {}
    for group in found:
        count = group.channels if not group.free else max(1, round(width * group.channels))
        strongest = np.argsort(-group.strength, kind="stable")[:count]
        for value in group.values:
            kept[value] = np.sort(strongest)
    return kept


def narrowed_macs(nodes: Iterable[ir.Node], entry: ir.Value, kept: Kept, pool: int = 1) -> int:
    """MACs for one image of the nodes after narrowing, as `passes.template` does it.

    Args:
        nodes: what is copied.
        entry: the cut that they start from.
        kept: the channels that stay.
        pool: the copy reads the entry averaged over squares of this size. Sizes of later values
            follow as behind convolutions that are padded to keep, or to divide, their input.
    """
    total = 0
    for node in nodes:
        full, source, out = macs(node), node.inputs[0], node.outputs[0]
        if source is not None and is_channel_pad(node) and len(kept[out]) < channels(out):
            have = channels(source) if source is entry else len(kept[source])
            total += have * len(kept[out]) * math.prod(_pooled(out, entry, pool))
            continue
        if not full or node.op_type != "Conv" or source is None:
            total += full
            continue
        share = len(kept[out]) / channels(out)
        if not is_depthwise(node) and source is not entry:
            share *= len(kept[source]) / channels(source)
        share *= math.prod(_pooled(out, entry, pool)) / math.prod(dims(out)[1:])
        total += round(full * share)
    return total


def _pooled(value: ir.Value, entry: ir.Value, pool: int) -> list[int]:
    """Height and width of a value when its distant entry is pooled."""
    sizes = zip(dims(entry)[1:], dims(value)[1:], strict=True)
    return [math.ceil((whole // pool) / math.ceil(whole / size)) for whole, size in sizes]


def channels(value: ir.Value) -> int:
    """The number of channels of a 4-d value."""
    assert value.shape is not None
    size = value.shape[1]
    assert isinstance(size, int)
    return size


def is_depthwise(node: ir.Node) -> bool:
    """Whether a Conv filters each channel by itself, one output for each input."""
    source = node.inputs[0]
    assert source is not None
    return _int(node, "group", 1) == channels(source) == channels(node.outputs[0])


def is_full(node: ir.Node) -> bool:
    """Whether each filter of a Conv reads all channels, not those of its group."""
    return _int(node, "group", 1) == 1


def is_pointwise(node: ir.Node) -> bool:
    """Whether a node is a 1x1 convolution of stride 1 over all channels."""
    kernel = constant(node.inputs[1]) if node.op_type == "Conv" else None
    neutral = {"strides": 1, "pads": 0, "dilations": 1, "group": 1}
    plain = all(
        set(np.atleast_1d(a.value).tolist()) == {neutral[a.name]}
        for a in node.attributes.values()
        if a.name in neutral
    )
    return kernel is not None and kernel.shape[2:] == (1, 1) and plain


def is_channel_pad(node: ir.Node) -> bool:
    """Whether a Pad adds zero channels and nothing else (the shortcut of type A)."""
    pads = constant(node.inputs[1]) if node.op_type == "Pad" else None
    value = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if pads is None or len(pads) != 8 or (value is not None and value.item() != 0):
        return False
    return not pads[[0, 2, 3, 4, 6, 7]].any() and len(node.inputs) < 4


def _relation(node: ir.Node) -> tuple[list[ir.Value], bool]:
    """The inputs whose channels are the output's, and whether the node can be narrowed at all."""
    sources = data_values(node)
    image = [v for v in sources if v.shape is not None and v.shape.rank() == 4]
    if node.op_type == "Conv":
        if constant(node.inputs[1]) is None:
            return [], False
        if is_depthwise(node):
            return image, True
        return [], is_full(node)
    if node.op_type in _SAME:
        return image, True
    if node.op_type in _JOIN:
        broadcast = [v for v in image if channels(v) != channels(node.outputs[0])]
        scalars = [v for v in node.inputs if v is not None and constant(v) is not None]
        plain = not broadcast and all(_is_scalar(v) for v in scalars)
        return image, plain and len(image) == len(sources)
    if node.op_type == "Pad":
        if is_channel_pad(node):
            return [], True
        pads = constant(node.inputs[1])
        return image, pads is not None and len(pads) == 8 and not pads[[0, 1, 4, 5]].any()
    if node.op_type == "Slice":
        axes = constant(node.inputs[3]) if len(node.inputs) > 3 else None
        return image, axes is not None and all(a in (2, 3, -1, -2) for a in axes)
    if node.op_type == "ReduceMean":
        axes = constant(node.inputs[1]) if len(node.inputs) > 1 else None
        return image, axes is not None and all(a in (2, 3, -1, -2) for a in axes)
    return image, False


def _group(found: set[ir.Value], nodes: list[ir.Node], fixed: set[ir.Value]) -> Group:
    size = channels(next(iter(found)))
    makers = [n for n in nodes if n.outputs[0] in found and n.op_type == "Conv"]
    strength = np.zeros(size)
    for node in makers:
        one = _strength(node)
        strength += one / max(float(one.mean()), 1e-12)
    free = bool(makers) and not (found & fixed)
    return Group(tuple(sorted(found, key=lambda v: v.name or "")), size, free, strength)


def _strength(node: ir.Node) -> np.ndarray:
    weight = constant(node.inputs[1])
    assert weight is not None
    flat = weight.reshape(len(weight), -1)
    norm = np.sqrt(np.einsum("ij,ij->i", flat, flat))
    for user in node.outputs[0].consumers():
        if user.op_type == "BatchNormalization":
            scale, variance = constant(user.inputs[1]), constant(user.inputs[4])
            if scale is not None and variance is not None:
                norm = norm * np.abs(scale) / np.sqrt(variance + 1e-5)
    return np.asarray(norm, np.float64)


def _is_scalar(value: ir.Value) -> bool:
    return value.const_value is not None and value.const_value.size == 1


def _int(node: ir.Node, name: str, default: int) -> int:
    return node.attributes[name].as_int() if name in node.attributes else default
