"""Sink: what is used only through one side of a Select moves into a region of that side."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.latency import LatencyModel
from hydrafy.analysis.predication.need import SHARE, SIDES, region
from hydrafy.analysis.predication.places import Places
from hydrafy.analysis.predication.predicates import Condition, note, predicate
from hydrafy.analysis.rows import is_batched, mixes_rows
from hydrafy.analysis.worth import Appraisal
from hydrafy.ir import build, ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.row_ifs import make_row_if

SMALL = 64  # elements up to which a constant that several regions read is copied into each


@dataclass(frozen=True)
class Sink(Pass):
    """Turns every Select into a RowIf with its regions, the Selects nearest to the outputs first.

    It is the inverse of if-conversion and knows no recipe. With a per-sample predicate, a node
    that mixes rows stays outside, and so does what it reads. Weights that only one region uses
    move into it: onnxruntime lays out a region's own weights in its blocked format, never those
    that it captures. Those of several regions stay outside, and each has a view that is its own.

    Args:
        latency: by which it is foreseen whether a region saves more than it costs, with all that it
            holds; where it does not, that side stays dense. None: every region is made that can be.
    """

    name: ClassVar[str] = "sink"
    latency: LatencyModel | None = None

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        rates = {rate.predicate: rate.share for rate in program.manifest.rates}
        notes: list[str] = []
        appraisal = None
        if self.latency is not None:
            appraisal = Appraisal.of(program, self.latency)
            notes.append(f"what a region saves and costs is foreseen for {self.latency.processor}")
        Sinking(appraisal, Places.of(program).bundles, rates, notes).sink(program.graph)
        program.manifest = dataclasses.replace(program.manifest, stage="regions")
        return notes


@dataclass(frozen=True)
class Sinking:
    """What is known while Selects become RowIfs.

    Attributes:
        appraisal: what a region saves and costs, if that is asked.
        bundles: for each Select those that share their regions with it.
        rates: how often predicates hold, by name.
        notes: what is done is written there.
    """

    appraisal: Appraisal | None
    bundles: Mapping[ir.Node, Sequence[ir.Node]]
    rates: Mapping[str, float]
    notes: list[str]

    def sink(self, graph: ir.Graph) -> None:
        """Makes regions of the Selects of a graph, and of those within them."""
        for select in reversed(list(graph)):
            if select.graph is graph and ops.is_select(select):
                found = self.bundles.get(select, [select])
                self._one(graph, [one for one in found if one.graph is graph])

    def _one(self, graph: ir.Graph, bundle: list[ir.Node]) -> None:
        last, refused = bundle[0], dict[str, str]()
        pred = last.inputs[0]
        assert pred is not None
        row_wise = is_batched(pred)

        def movable(node: ir.Node) -> bool:
            why = mixes_rows(node) if row_wise else None
            if why:
                refused[node.name or ""] = why
            return node.graph is graph and not why

        graphs, unpaid = dict[str, ir.Graph](), dict[str, str]()
        for side in SIDES:
            inside = self._inside(bundle, side, movable)
            ordered = [node for node in graph if node in inside]
            why = self._refusal(bundle, side, ordered)
            if why:
                unpaid[side] = why
            elif ordered:
                graphs[side] = _region(graph, ordered, bundle, side)
        self.notes.extend(
            f"{node!r} stays outside of {last.name!r}: {why}" for node, why in refused.items()
        )
        self.notes.extend(_dense(bundle, graphs, unpaid))
        self._replace(graph, bundle, graphs)
        sizes = ", ".join(f"{len(g)} nodes in {side}" for side, g in graphs.items())
        if sizes:
            self.notes.append(f"{' and '.join(repr(one.name) for one in bundle)}: {sizes}")
        for inner in graphs.values():
            self.sink(inner)

    def _inside(
        self, bundle: list[ir.Node], side: str, movable: Callable[[ir.Node], bool]
    ) -> set[ir.Node]:
        """The nodes of a region; Selects that share theirs stay together, inside or outside."""
        apart: set[ir.Node] = set()

        def free(node: ir.Node) -> bool:
            return node not in apart and movable(node)

        while True:
            inside = set(region(bundle[0], side, movable=free, bundle=bundle))
            torn = {n for n in inside if not inside.issuperset(self.bundles.get(n, ()))}
            if not torn:
                return inside
            apart.update(torn)

    def _refusal(self, bundle: list[ir.Node], side: str, inside: list[ir.Node]) -> str | None:
        """Why a region does not pay, in a clause; None if it does, or nobody asks."""
        if self.appraisal is None or not inside:
            return None
        return self.appraisal.refusal(bundle, side, inside)

    def _replace(
        self, graph: ir.Graph, bundle: list[ir.Node], graphs: Mapping[str, ir.Graph]
    ) -> None:
        """Puts a RowIf in the place of Selects."""
        row_if = make_row_if(bundle, graphs)
        pred = row_if.inputs[0]
        assert pred is not None
        share = self.rates.get(pred.name or "")
        if share is not None:
            row_if.metadata_props[SHARE] = json.dumps(share)
        note(row_if, Condition(predicate(pred)))
        graph.insert_before(bundle[0], row_if)
        for select, out in zip(bundle, row_if.outputs, strict=True):
            select.outputs[0].name = f"{select.name}.dense"
            select.outputs[0].replace_all_uses_with(out, replace_graph_outputs=True)
        graph.remove(bundle, safe=True)
        if len(bundle) > 1:
            graph.sort()  # what read the first Selects stands before the last one


def _dense(
    bundle: list[ir.Node], graphs: Mapping[str, ir.Graph], unpaid: Mapping[str, str]
) -> list[str]:
    """What is computed for all, though Selects choose, and why."""
    names = " and ".join(repr(one.name) for one in bundle)
    if graphs:
        return [f"side {s} of {names} is computed for all: {why}" for s, why in unpaid.items()]
    why = ", ".join(unpaid.values()) or "nothing is used through it alone"
    return [f"{names} stays dense: {why}"]


def _region(graph: ir.Graph, nodes: list[ir.Node], bundle: list[ir.Node], side: str) -> ir.Graph:
    """A graph of some nodes, which returns what they compute of a side of each Select."""
    name = f"{bundle[0].name}.{side}"
    inside = set(nodes)
    results, nodes = list[ir.Value](), list(nodes)
    for number, select in enumerate(bundle):
        value = select.inputs[SIDES[side]]
        if value is None or value.producer() not in inside:
            continue
        if value in results:  # a graph returns nothing twice
            copy = build.op("Identity", [value], f"{name}.again.{number}")
            graph.insert_before(bundle[-1], copy)
            nodes.append(copy)
            value = copy.outputs[0]
            select.replace_input_with(SIDES[side], value)
        results.append(value)
    own: dict[str, ir.Value] = {}
    read = dict.fromkeys(v for n in nodes for v in n.inputs if v is not None)
    for value in read:
        home = value.graph
        if not value.is_initializer() or constant(value) is None or home is None:
            continue
        if all(user in inside for user in value.consumers()):
            del home.initializers[value.name or ""]
            own[value.name or ""] = value
        elif value.const_value is not None and value.const_value.size <= SMALL:
            own[f"{name}.{value.name}"] = _copy(value, f"{name}.{value.name}", nodes)
        elif readers := [n for n in nodes if n.op_type == "Conv" and value in n.inputs[1:]]:
            local, shape = _local(value, f"{name}.{value.name}")
            own[shape.name or ""] = shape
            for node in readers:
                node.replace_input_with(node.inputs.index(value), local.outputs[0])
            graph.insert_before(nodes[0], local)
            nodes.insert(0, local)
    graph.remove(nodes)
    return ir.Graph([], results, nodes=nodes, initializers=list(own.values()), name=name)


def _local(value: ir.Value, name: str) -> tuple[ir.Node, ir.Value]:
    """A weight of several regions, reshaped to what it is, and the shape as a constant.

    onnxruntime makes a constant of that, which is the region's own, so it gets the blocked layout;
    the file holds the weight once.
    """
    array = constant(value)
    assert array is not None
    sizes = np.array(array.shape, np.int64)
    shape = ir.Value(
        name=f"{name}.shape",
        shape=ir.Shape(sizes.shape),
        type=ir.TensorType(ir.DataType.INT64),
        const_value=ir.tensor(sizes, name=f"{name}.shape"),
    )
    node = ir.Node("", "Reshape", [value, shape], name=name)
    out = node.outputs[0]
    out.name, out.type, out.shape = name, value.type, ir.Shape(array.shape)
    return node, shape


def _copy(value: ir.Value, name: str, nodes: list[ir.Node]) -> ir.Value:
    twin = ir.Value(name=name, shape=value.shape, type=value.type, const_value=value.const_value)
    for node in nodes:
        for place, used in enumerate(node.inputs):
            if used is value:
                node.replace_input_with(place, twin)
    return twin
