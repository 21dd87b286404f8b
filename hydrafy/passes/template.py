"""Copies of a part of a network, narrowed to its kept channels, under any number of names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.channels import Kept, channels, is_channel_pad, is_depthwise, is_full
from hydrafy.ir import build
from hydrafy.ir.values import constant


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

    def stamp(
        self, graph: ir.Graph, rename: Callable[[str], str], entry: ir.Value | None = None
    ) -> dict[ir.Value, ir.Value]:
        """Adds one copy to the graph; returns what became of each value.

        The copies share the memory of their weights until one is replaced.

        Args:
            graph: where to add it.
            rename: from the names of the template to those of the copy.
            entry: what the copy reads in place of the template's entry, with the same channels.
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
        full = node.op_type == "Conv" and not is_depthwise(node)
        return self.entry in node.inputs and not full and not is_channel_pad(node)

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
            return build.copy([node], values, rename)
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
        changed = {}
        if node.op_type == "Conv" and is_depthwise(node):
            changed = {node: {"group": len(keep)}}
        for place, value in enumerate(node.inputs[1:], start=1):
            array = constant(value)
            if value is None or array is None or node.op_type not in ("Conv", "BatchNormalization"):
                continue
            key = (value.name or "", node.name or "")
            if key not in self._arrays:
                picked = array[keep]
                if place == 1 and node.op_type == "Conv" and is_full(node):
                    picked = picked[:, have]
                whole = picked.shape == array.shape
                self._arrays[key] = array if whole else np.ascontiguousarray(picked)
            earlier = made.setdefault(value, [])
            values[value] = _weight(graph, rename(value.name or ""), self._arrays[key], earlier)
        return build.copy([node], values, rename, attributes=changed)


def _weight(graph: ir.Graph, name: str, array: np.ndarray, earlier: list[ir.Value]) -> ir.Value:
    """A weight of a copy; layers that share one still do, where they keep the same channels."""
    for value in earlier:
        have = constant(value)
        if have is not None and np.array_equal(have, array):
            return value
    new = build.weight(graph, f"{name}_{len(earlier) + 1}" if earlier else name, array)
    earlier.append(new)
    return new
