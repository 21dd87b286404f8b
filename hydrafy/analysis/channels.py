"""Channel groups: which channels must be kept or dropped together when a network is narrowed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hydrafy.analysis.cuts import data_values
from hydrafy.analysis.layers import (
    channels,
    group_count,
    is_channel_pad,
    is_depthwise,
    margins,
)
from hydrafy.ir import ops
from hydrafy.ir.values import constant

_SAME = ops.EACH | ops.GLOBAL | (ops.NORMS - {"LRN"}) | (ops.WINDOWS - {"Conv"})
_SPATIAL = ("Pad", "ReduceMean", "Slice")

Kept = Mapping[ir.Value, np.ndarray]
Strength = Callable[[ir.Node], np.ndarray]


@dataclass(frozen=True)
class Coupling:
    """How the channels of a part of a network hang together.

    An atom is the least that can be dropped: one channel in all the values that it runs through, or
    a block of channels that a grouped convolution or a group normalisation holds together. A group
    is a set of atoms that are chosen among, as those of a residual stream.

    Attributes:
        atoms: for each value the atom of each of its channels, [channels].
        group: the group of each atom, [atoms].
        free: whether it may be dropped, [atoms]; all of a group may, or none.
        strength: what ranks the atoms of a group, [atoms]: the norm of a channel's filters, scaled
            by its BatchNormalization, each layer's mean being 1.
    """

    atoms: Mapping[ir.Value, np.ndarray]
    group: np.ndarray
    free: np.ndarray
    strength: np.ndarray


def strength(node: ir.Node) -> np.ndarray:
    """How much each filter of a Conv matters: its norm, scaled by a BatchNormalization after it."""
    weight = constant(node.inputs[1])
    assert weight is not None
    flat = weight.reshape(len(weight), -1)
    norm = np.sqrt(np.einsum("ij,ij->i", flat, flat))
    for user in node.outputs[0].consumers():
        if user.op_type == "BatchNormalization":
            scale, variance = constant(user.inputs[1]), constant(user.inputs[4])
            if scale is not None and variance is not None:
                epsilon = user.attributes.get_float("epsilon", 1e-5)
                norm = norm * np.abs(scale) / np.sqrt(variance + epsilon)
    return np.asarray(norm / max(float(norm.mean()), 1e-12), np.float64)


def coupling(
    nodes: Iterable[ir.Node],
    entry: ir.Value,
    same: Iterable[tuple[ir.Value, ir.Value]] = (),
    strength: Strength = strength,
) -> Coupling:
    """Couples the channels of all image values that `nodes` compute from `entry`.

    Args:
        nodes: a part of the network in topological order.
        entry: the cut it starts from. Its own channels stay, but where a shortcut adds it to
            narrowed channels, it belongs to their group and the sum takes the kept ones.
        same: further pairs of values to couple: entry and exit of blocks that are left out.
        strength: of a Conv's filters, [filters].
    """
    book = _Book({}, {end: start for start, end in same})
    book.open(entry)
    makers = [node for node in nodes if book.enter(node) and node.op_type == "Conv"]
    for end in book.twins:
        book.find(end)  # the last block may be left out, so that no node reads its exit
    return book.close(makers, strength)


def keep(coupled: Coupling, width: float) -> dict[ir.Value, np.ndarray]:
    """The channels that stay at relative width `width`: each group's strongest, in their order.

    At least one atom of each group stays; groups that are not free keep all.
    """
    sizes = np.bincount(coupled.group)
    counts = np.maximum(1, np.round(width * sizes))
    order = np.lexsort((-coupled.strength, coupled.group))  # stable: equals keep their order
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    stays = ~coupled.free | (rank < counts[coupled.group])
    return {value: np.flatnonzero(stays[atoms]) for value, atoms in coupled.atoms.items()}


@dataclass
class _Book:
    """Ids of channels, handed out node by node; `ties` are arrays of ids that are one atom.

    A layer that makes channels opens a new range of ids; all others hand on those that they read.
    """

    ids: dict[ir.Value, np.ndarray]
    twins: Mapping[ir.Value, ir.Value]
    ties: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    fixed: list[np.ndarray] = field(default_factory=list)
    starts: list[int] = field(default_factory=lambda: [0])

    def open(self, value: ir.Value) -> None:
        """New ids for the channels of a value."""
        start, end = self.starts[-1], self.starts[-1] + channels(value)
        self.starts.append(end)
        self.ids[value] = np.arange(start, end)

    def find(self, value: ir.Value) -> np.ndarray:
        """The ids of a value; the exit of a block that is left out has those of its entry."""
        if value not in self.ids:
            self.ids[value] = self.find(self.twins[value])
        return self.ids[value]

    def enter(self, node: ir.Node) -> bool:
        """Gives ids to what a node computes; whether that is an image."""
        out = node.outputs[0]
        sources = [v for v in data_values(node) if _has_channels(v)]
        if not _has_channels(out):
            self.fixed += [self.find(v) for v in sources]
            return False
        if not self._relate(node, out, sources):
            self.open(out)
            self.fixed += [self.ids[out], *(self.find(v) for v in sources)]
        return True

    def _relate(self, node: ir.Node, out: ir.Value, sources: list[ir.Value]) -> bool:
        """Whether the node is understood; if so, its result has ids."""
        have = [self.find(v) for v in sources]
        if not have:
            return False
        if node.op_type == "Conv":
            return constant(node.inputs[1]) is not None and self._convolve(node, out, have[0])
        if node.op_type in _SAME or (node.op_type in _SPATIAL and _is_spatial(node)):
            self.ids[out] = have[0]
            return True
        if is_channel_pad(node):
            self.open(out)
            return True
        if node.op_type in ops.BOTH:
            return self._join(node, out, have)
        if node.op_type == "Concat" and node.attributes["axis"].as_int() == 1:
            if len(have) == len(node.inputs):
                self.ids[out] = np.concatenate([self.find(v) for v in node.inputs if v is not None])
            return len(have) == len(node.inputs)
        return node.op_type == "Reshape" and self._regroup(out, sources[0])

    def _convolve(self, node: ir.Node, out: ir.Value, have: np.ndarray) -> bool:
        count = group_count(node)
        if is_depthwise(node):
            self.ids[out] = have
            return True
        self.open(out)
        if count > 1:
            inner, outer = have.reshape(count, -1), self.ids[out].reshape(count, -1)
            self._hold_together(inner, inner[:, 0])
            self._hold_together(outer, inner[:, 0])
        return True

    def _join(self, node: ir.Node, out: ir.Value, have: list[np.ndarray]) -> bool:
        """A sum or product, whose operands correspond, or have one channel for all."""
        size = channels(out)
        wide = [ids for ids in have if len(ids) == size]
        if not wide or any(len(ids) not in (1, size) for ids in have):
            return False
        if len(have) < len(data_values(node)):
            return False
        self.ids[out] = wide[0]
        self.ties += [(wide[0], other) for other in wide[1:]]
        return True

    def _regroup(self, out: ir.Value, source: ir.Value) -> bool:
        """[N, C, H, W] to [N, G, X] and back, as group normalisation is written."""
        ids, size = self.find(source), channels(out)
        if not _is_grouping(source, out):
            return False
        if size < len(ids):
            self.open(out)
            self._hold_together(ids.reshape(size, -1), self.ids[out])
        else:
            self.ids[out] = np.repeat(ids, size // len(ids))
        return True

    def _hold_together(self, blocks: np.ndarray, leaders: np.ndarray) -> None:
        """Makes one atom of each row of `blocks` and its leader."""
        self.ties.append((blocks.ravel(), np.repeat(leaders, blocks.shape[1])))

    def close(self, makers: Iterable[ir.Node], strength: Strength) -> Coupling:
        """The atoms and groups that the ties leave."""
        total = self.starts[-1]
        left = np.concatenate([a for a, _ in self.ties]) if self.ties else np.zeros(0, np.int64)
        right = np.concatenate([b for _, b in self.ties]) if self.ties else np.zeros(0, np.int64)
        atom = _components(total, left, right)
        opened = np.searchsorted(self.starts, np.arange(total), side="right") - 1
        axes = _components(len(self.starts) - 1, opened[left], opened[right])
        count = int(atom.max()) + 1
        group = np.zeros(count, np.int64)
        group[atom] = axes[opened]
        strong, made, fixed = np.zeros(count), np.zeros(count, bool), np.zeros(count, bool)
        for node in makers:
            own = atom[self.ids[node.outputs[0]]]
            np.add.at(strong, own, strength(node))
            made[own] = True
        for ids in self.fixed:
            fixed[atom[ids]] = True
        groups = int(group.max()) + 1
        has_maker = np.bincount(group, made, groups) > 0
        is_fixed = np.bincount(group, fixed, groups) > 0
        free = (has_maker & ~is_fixed)[group]
        return Coupling({v: atom[ids] for v, ids in self.ids.items()}, group, free, strong)


def _components(size: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The connected component of each of `size` vertices under the edges left-right."""
    edges = coo_array((np.ones(len(left), bool), (left, right)), shape=(size, size))
    labels: np.ndarray = connected_components(edges, directed=False)[1]
    return labels


def _has_channels(value: ir.Value) -> bool:
    return value.shape is not None and value.shape.rank() in (3, 4)


def _is_spatial(node: ir.Node) -> bool:
    """Whether a Pad, Slice or ReduceMean works on height and width alone."""
    if node.op_type == "Pad":
        added = margins(node)
        return added is not None and added.shape[1] == 4 and not added[:, :2].any()
    place = {"ReduceMean": 1, "Slice": 3}[node.op_type]
    array = constant(node.inputs[place]) if len(node.inputs) > place else None
    return array is not None and all(axis in (2, 3, -1, -2) for axis in array)


def _is_grouping(source: ir.Value, out: ir.Value) -> bool:
    """Whether a Reshape joins the channels of an image to groups, or takes them apart again."""
    assert source.shape is not None and out.shape is not None
    wide, narrow = (out, source) if out.shape.rank() == 4 else (source, out)
    ranks = (wide.shape.rank() if wide.shape else 0, narrow.shape.rank() if narrow.shape else 0)
    return ranks == (4, 3) and channels(wide) % channels(narrow) == 0
