"""Sink: what is used only through one side of a Select moves into a region of that side."""

import dataclasses
import json
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.analysis.latency import LatencyModel
from hydrafy.analysis.need import SHARE, SIDES, region
from hydrafy.analysis.predicates import Condition, note, predicate
from hydrafy.analysis.rows import is_batched, mixes_rows
from hydrafy.analysis.worth import Appraisal
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass

ROW_IF = "RowIf"
"""`RowIf(pred, a, b)`: a Select whose sides may be regions (graphs `a`, `b`) instead of inputs.

It exists between sink and compact only. A region reads the outer values that it needs.
"""


def is_row_if(node: ir.Node) -> bool:
    """Whether the node is a RowIf."""
    return node.domain == ops.DOMAIN and node.op_type == ROW_IF


def operands(node: ir.Node) -> tuple[ir.Value, ir.Value | None, ir.Value | None]:
    """Predicate, a and b of a RowIf; a side that is a region is None."""
    inputs = [*node.inputs, None, None]  # trailing empty inputs may have been trimmed
    pred = inputs[0]
    assert pred is not None
    return pred, inputs[1], inputs[2]


SMALL = 64  # elements up to which a constant that several regions read is copied into each


@dataclass(frozen=True)
class Sink(Pass):
    """Turns every Select into a RowIf with its regions, the Selects nearest to the outputs first.

    It is the inverse of if-conversion and knows no recipe. With a per-sample predicate, a node
    that mixes rows stays outside, and so does what it reads. Weights that only one region uses
    move into it: onnxruntime lays out a region's own weights in its blocked format, never those
    that it captures.

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
        _sink(program.graph, appraisal, rates, notes)
        program.manifest = dataclasses.replace(program.manifest, stage="regions")
        return notes


def _sink(
    graph: ir.Graph, appraisal: Appraisal | None, rates: dict[str, float], notes: list[str]
) -> None:
    for select in reversed(list(graph)):
        if select.graph is not graph or not ops.is_select(select):
            continue
        pred = select.inputs[0]
        assert pred is not None
        refused: dict[str, str] = {}
        row_wise = is_batched(pred)

        def movable(
            node: ir.Node, row_wise: bool = row_wise, refused: dict[str, str] = refused
        ) -> bool:
            why = mixes_rows(node) if row_wise else None
            if why:
                refused[node.name or ""] = why
            return node.graph is graph and not why

        graphs, unpaid = {}, dict[str, str]()
        for side in SIDES:
            inside = set(region(select, side, movable=movable))
            ordered = [node for node in graph if node in inside]
            why = appraisal.refusal(select, side, ordered) if appraisal and ordered else None
            if why:
                unpaid[side] = why
            elif ordered:
                graphs[side] = _region(graph, ordered, select, side)
        notes += [
            f"{node!r} stays outside of {select.name!r}: {why}" for node, why in refused.items()
        ]
        if graphs:
            notes += [
                f"side {side} of {select.name!r} is computed for all: {why}"
                for side, why in unpaid.items()
            ]
        else:
            why = ", ".join(unpaid.values()) or "nothing is used through it alone"
            notes.append(f"{select.name!r} stays dense: {why}")
        row_if = _row_if(select, graphs)
        share = rates.get(pred.name or "")
        if share is not None:
            row_if.metadata_props[SHARE] = json.dumps(share)
        note(row_if, Condition(predicate(pred)))
        graph.insert_before(select, row_if)
        select.outputs[0].name = f"{row_if.name}.dense"
        select.outputs[0].replace_all_uses_with(row_if.outputs[0], replace_graph_outputs=True)
        graph.remove(select, safe=True)
        sizes = ", ".join(f"{len(g)} nodes in {side}" for side, g in graphs.items())
        if sizes:
            notes.append(f"{row_if.name!r}: {sizes}")
        for inner in graphs.values():
            _sink(inner, appraisal, rates, notes)


def _row_if(select: ir.Node, graphs: dict[str, ir.Graph]) -> ir.Node:
    pred, a, b = select.inputs
    node = ir.Node(
        ops.DOMAIN,
        ROW_IF,
        [pred, None if "a" in graphs else a, None if "b" in graphs else b],
        [ir.AttrGraph(side, graph) for side, graph in graphs.items()],
        name=select.name,
    )
    out, old = node.outputs[0], select.outputs[0]
    out.name, out.shape, out.type = old.name, old.shape, old.type
    return node


def _region(graph: ir.Graph, nodes: list[ir.Node], select: ir.Node, side: str) -> ir.Graph:
    result = select.inputs[SIDES[side]]
    assert result is not None
    name = f"{select.name}.{side}"
    inside = set(nodes)
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
    graph.remove(nodes)
    return ir.Graph([], [result], nodes=nodes, initializers=list(own.values()), name=name)


def _copy(value: ir.Value, name: str, nodes: list[ir.Node]) -> ir.Value:
    twin = ir.Value(name=name, shape=value.shape, type=value.type, const_value=value.const_value)
    for node in nodes:
        for place, used in enumerate(node.inputs):
            if used is value:
                node.replace_input_with(place, twin)
    return twin
