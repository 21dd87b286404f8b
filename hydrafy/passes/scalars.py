"""Puts a scalar in the place of a tensor: sums leave it out, and few nodes need it in full."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.need import SIDES
from hydrafy.ir import ops
from hydrafy.ir.values import constant, dims
from hydrafy.passes.lower.regions import Inserter

SUMS = ("Add", "Sum")


def is_scalar(value: ir.Value) -> bool:
    """Whether a value is one number that nobody can override."""
    array = constant(value)
    return array is not None and array.size == 1


def stand_in(graph: ir.Graph, value: ir.Value, node: ir.Node) -> None:
    """Lets a value take the place of a node's result, as an output by its name; the node goes."""
    out = node.outputs[0]
    if out.is_graph_output():
        if value.is_graph_output() or value.producer() is None:
            value = Inserter(graph, node, out.name or "").op("Identity", [value], "as")
        value.name, out.name = out.name, f"{out.name}.chosen"
    out.replace_all_uses_with(value, replace_graph_outputs=True)
    graph.remove(node, safe=True)


@dataclass(frozen=True)
class Scalars:
    """Lets what nodes compute be scalars.

    Attributes:
        image: a value with a row for each sample.
        coming: nodes whose results are to become scalars: no tensor is made from these.
        filled: tensors that were made, and the number that they hold everywhere.
    """

    image: ir.Value
    coming: frozenset[ir.Node]
    filled: dict[ir.Value, float] = dataclasses.field(default_factory=dict)

    def put(self, scalar: ir.Value, node: ir.Node) -> None:
        """Lets all that reads the result of a node read a scalar, or do without; the node goes.

        A sum leaves out zeros. A Select takes a scalar as its b. A Concat of nothing else is such
        a scalar itself; of other things too, it gets as many channels of it.
        """
        graph, out = node.graph, node.outputs[0]
        assert isinstance(graph, ir.Graph)
        while uses := out.uses():
            reader, place = next(iter(uses))
            rest = [v for i, v in enumerate(reader.inputs) if i != place and v is not None]
            if ops.is_select(reader) and place == SIDES["b"]:
                reader.replace_input_with(place, scalar)
            elif self._is_as_scalar(reader, rest, scalar):
                self.put(scalar, reader)
            elif _can_leave_out(reader, rest, scalar):
                _leave_out(graph, reader, rest)
            else:
                reader.replace_input_with(place, self._full(scalar, out, reader, rest))
        if out.is_graph_output():
            stand_in(graph, self._full(scalar, out, node, ()), node)
        else:
            graph.remove(node, safe=True)

    def _is_as_scalar(self, node: ir.Node, rest: Sequence[ir.Value], scalar: ir.Value) -> bool:
        """Whether a node joins, or adds up, nothing but this scalar."""
        if node.op_type == "Concat":
            return all(self.filled.get(v) == _number(scalar) for v in rest)
        return node.op_type in SUMS and not rest

    def _full(
        self, scalar: ir.Value, like: ir.Value, reader: ir.Node, rest: Sequence[ir.Value]
    ) -> ir.Value:
        """A scalar everywhere in a tensor like another one, made of what its reader reads besides.

        So that what images run through stays in sight: nothing reaches around a cut. The pads take
        all of the tensor away and put as many numbers as are needed in its place.
        """
        source = next((v for v in rest if self._may_be_padded(v, like)), self.image)
        assert isinstance(reader.graph, ir.Graph)
        to = Inserter(reader.graph, reader, _unused(reader.graph, f"{like.name}.full"))
        have, want = dims(source), dims(like)
        if len(have) != len(want):
            source = to.op("Flatten", [source], "flat", axis=1)
            have, want = (math.prod(have),), (math.prod(want),)
        axes = [i for i in range(len(want)) if not i or have[i] != want[i]]
        pads = [-have[i] for i in axes] + [want[i] for i in axes]
        options = {"pads": pads, "value": _array(scalar), "axes": [axis + 1 for axis in axes]}
        made = to.op("Pad", [source, *(to.const(n, array) for n, array in options.items())], "pad")
        if want != dims(like):
            made.shape = ir.Shape(["N", *want])
            made = to.op("Reshape", [made, to.const("shape", np.array([-1, *dims(like)]))], "as")
        made.shape, made.type = like.shape, like.type
        self.filled[made] = _number(scalar)
        return made

    def _may_be_padded(self, value: ir.Value, like: ir.Value) -> bool:
        rank = value.shape.rank() if value.shape is not None else 0
        fits = like.shape is not None and rank == like.shape.rank() and value.dtype == like.dtype
        return fits and constant(value) is None and value.producer() not in self.coming


def _array(scalar: ir.Value) -> np.ndarray:
    array = constant(scalar)
    assert array is not None
    return array.reshape(())


def _number(scalar: ir.Value) -> float:
    return float(_array(scalar).item())


def _unused(graph: ir.Graph, prefix: str) -> str:
    """A prefix that no earlier pass has given to such a tensor's parts."""
    names = (f"{prefix}.{number}" for number in itertools.count())
    return next(name for name in names if f"{name}.pads" not in graph.initializers)


def _can_leave_out(node: ir.Node, rest: Sequence[ir.Value], scalar: ir.Value) -> bool:
    """Whether a node is a sum to which a scalar adds nothing, its shape neither."""
    shape = node.outputs[0].shape
    return node.op_type in SUMS and not _number(scalar) and any(v.shape == shape for v in rest)


def _leave_out(graph: ir.Graph, total: ir.Node, rest: Sequence[ir.Value]) -> None:
    if len(rest) == 1:
        stand_in(graph, rest[0], total)
        return
    for place, value in enumerate(rest):
        total.replace_input_with(place, value)
    total.resize_inputs(len(rest))
