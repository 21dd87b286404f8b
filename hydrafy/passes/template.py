"""Copies of a part of a network, narrowed to its kept channels, under any number of names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.channels import Kept
from hydrafy.analysis.layers import channel_axis, channels, group_count, is_channel_pad, is_full
from hydrafy.ir import build
from hydrafy.ir.values import constant, dims


@dataclass(frozen=True)
class Template:
    """The nodes from cut `entry` on, of which only the channels in `kept` remain.

    `skip` lists blocks to leave out, as pairs of their entry and exit. The convolutions that read
    the entry see all of its channels; what else reads it gets the kept ones.

    A narrowed type-A shortcut (zero channels padded to a strided slice) becomes a 1x1 convolution
    of zeros and ones: the map between two kept sets of channels, and trainable.
    """

    nodes: Sequence[ir.Node]
    entry: ir.Value
    kept: Kept
    skip: tuple[tuple[ir.Value, ir.Value], ...] = ()
    _arrays: dict[tuple[str, str], np.ndarray] = field(default_factory=dict, compare=False)
    _stamped: dict[ir.Node, ir.Node] = field(default_factory=dict, compare=False)

    def stamp(
        self, graph: ir.Graph, rename: Callable[[str], str], entry: ir.Value | None = None
    ) -> dict[ir.Value, ir.Value]:
        """Adds one copy to the graph; returns what became of each value.

        The copies share the memory of their weights until one is replaced.

        Args:
            graph: where to add it.
            rename: from the names of the template to those of the copy.
            entry: what the copy reads in place of the template's entry, with the same channels; of
                one size for all copies.
        """
        read = self.entry if entry is None else entry
        values: dict[ir.Value, ir.Value] = {self.entry: read}
        exits = {end for _, end in self.skip}
        made: dict[ir.Value, list[ir.Value]] = {}
        kept_entry = self.kept[self.entry]
        narrow_entry = read
        if len(kept_entry) < channels(self.entry) and any(map(self._takes_kept, self.nodes)):
            index = build.weight(graph, rename("entry.kept"), kept_entry.astype(np.int64))
            gather = build.op("Gather", [read, index], rename("entry"), axis=1)
            graph.append(gather)
            narrow_entry = gather.outputs[0]
        for node in self.nodes:
            source = node.inputs[0]
            self._hand_on(values)
            if source is not None and node.op_type == "Relu" and source in exits:
                producer = values[source].producer()
                if producer is not None and producer.op_type == "Relu":
                    values[node.outputs[0]] = values[source]
                    continue
            local = dict(values)
            if self._takes_kept(node):
                local[self.entry] = narrow_entry
            for twin in self._copy(graph, node, local, rename, made):
                graph.append(twin)
            values[node.outputs[0]] = local[node.outputs[0]]
        self._hand_on(values)  # the template may end in a skipped block
        return values

    def _hand_on(self, values: dict[ir.Value, ir.Value]) -> None:
        """Skipped blocks whose entry is known hand it on as their exit."""
        for start, end in self.skip:
            if end not in values and start in values:
                values[end] = values[start]

    def _takes_kept(self, node: ir.Node) -> bool:
        return self.entry in node.inputs and not is_full(node) and not is_channel_pad(node)

    def _copy(
        self,
        graph: ir.Graph,
        node: ir.Node,
        values: dict[ir.Value, ir.Value],
        rename: Callable[[str], str],
        made: dict[ir.Value, list[ir.Value]],
    ) -> list[ir.Node]:
        source, out = node.inputs[0], node.outputs[0]
        if source is None or out not in self.kept:
            return build.copy([node], values, rename, like=self._stamped)
        keep = self.kept[out]
        have = np.arange(channels(source)) if source is self.entry else self.kept.get(source, keep)
        if is_channel_pad(node) and len(keep) < channels(out):
            pads = constant(node.inputs[1])
            assert pads is not None
            kernel = (keep[:, None] == have[None, :] + int(pads[1])).astype(np.float32)
            name = rename(node.name or "")
            weight = build.weight(graph, f"{name}.weight", kernel[:, :, None, None])
            twin = build.op("Conv", [values[source], weight], name, kernel_shape=[1, 1])
            values[out] = twin.outputs[0]
            return [twin]
        attributes = {}
        if node.op_type == "Conv" and not is_full(node):
            attributes = {node: {"group": group_count(node) * len(keep) // channels(out)}}
        for place, value in enumerate(node.inputs):
            array = constant(value)
            if value is None or array is None:
                continue
            key = (value.name or "", node.name or "")
            if key not in self._arrays:
                picked = _narrowed(node, place, array, keep, have)
                if picked is None:
                    continue
                whole = np.array_equal(picked, array)
                self._arrays[key] = array if whole else np.ascontiguousarray(picked)
            earlier = made.setdefault(value, [])
            values[value] = _weight(graph, rename(value.name or ""), self._arrays[key], earlier)
        return build.copy([node], values, rename, attributes=attributes, like=self._stamped)


def _narrowed(
    node: ir.Node, place: int, array: np.ndarray, keep: np.ndarray, have: np.ndarray
) -> np.ndarray | None:
    """A constant input for the channels `keep`, of a source with the channels `have`.

    None for one that has no channels, such as axes or a scalar: copies read that of the source.
    """
    out = node.outputs[0]
    if node.op_type == "Reshape":
        return np.array([0, len(keep), *dims(out)[1:]], np.int64)
    if node.op_type in ("BatchNormalization", "Conv", "InstanceNormalization"):
        own = array.take(keep, axis=0)
        return own.take(have, axis=1) if place == 1 and is_full(node) else own
    axis = channel_axis(array, out)
    return None if axis is None else array.take(keep, axis)


def _weight(graph: ir.Graph, name: str, array: np.ndarray, earlier: list[ir.Value]) -> ir.Value:
    """A weight of a copy; layers that share one still do, where they keep the same channels."""
    for value in earlier:
        have = constant(value)
        if have is not None and np.array_equal(have, array):
            return value
    new = build.weight(graph, f"{name}_{len(earlier) + 1}" if earlier else name, array)
    earlier.append(new)
    return new
