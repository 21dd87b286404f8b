"""Takes the decisions of a network from its caller: for probes, oracles and experiments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.analysis.predication.gathers import Way, gathers
from hydrafy.analysis.predication.inlined import inlined
from hydrafy.analysis.rows import is_batched
from hydrafy.errors import ModelError
from hydrafy.ir import build, ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims, is_constant
from hydrafy.passes.base import Pass
from hydrafy.passes.cut import Cut


@dataclass(frozen=True)
class ForceDecisions(Pass):
    """Decisions become inputs of the same names; what made them goes.

    What is decided within a region of a lowered program is given the rows that the region runs on.

    Args:
        decisions: the values that gates make, by name; all outputs of the role `decision` if none
            is named.
    """

    name: ClassVar[str] = "force-decisions"
    decisions: tuple[str, ...] = ()

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: nothing in the program makes such a decision, or it lies in a region whose
                rows cannot be told.
        """
        names = [v.name or "" for v in program.graph.outputs]
        listed = tuple(n for n in names if program.manifest.role(n) == "decision")
        forced = self.decisions or listed
        if not forced:
            return []
        within = {name: site for name, site in _within(program).items() if name in forced}
        ways = gathers(program) if within else {}
        given = [_feed(program, name, *site, ways) for name, site in within.items()]
        outside = tuple(name for name in forced if name not in within)
        unknown = set(outside) - set(program.values())
        if unknown:
            raise ModelError(f"nothing in the network decides {min(unknown)!r}")
        Cut(outside, tuple(n for n in names if n not in forced)).apply(program)
        program.graph.inputs.extend(given)
        return [f"{len(forced)} decisions are inputs now"]


def decides(program: Program, names: Iterable[str]) -> tuple[str, ...]:
    """Those of some decisions that a program makes, of any stage and at whatever depth."""
    there = {*program.values(), *_within(program)}
    return tuple(name for name in names if name in there)


def _within(program: Program) -> dict[str, tuple[ir.Value, ir.Value | None]]:
    """What is decided within regions: the decision, and a value of the same rows if it has rows.

    By the names of gates, and of comparisons.
    """
    main, found = program.graph, dict[str, tuple[ir.Value, ir.Value | None]]()
    for node in main.all_nodes():
        if node.graph is not main and node.op_type in ops.COMPARISONS:
            out = node.outputs[0]
            rows = (v for v in node.inputs if v is not None and is_batched(v))
            found[out.name or ""] = out, next(rows, None)
    for name, site in inlined(program).items():
        if site.decision.graph is not main:
            found[name] = site.decision, site.inputs["scores"]
    return found


def _feed(
    program: Program,
    name: str,
    decision: ir.Value,
    like: ir.Value | None,
    ways: dict[ir.Value, Way],
) -> ir.Value:
    """Replaces what is decided within a region by rows of a new input, which is returned."""
    # a constant has the one row of a file that is made for one image
    way = () if like is None or is_constant(like) else ways.get(like)
    if way is None:
        raise ModelError(f"{name!r} is decided in a region whose rows cannot be told")
    own = program.values().get(name)
    if own is not None:
        own.name = f"{name}.own"
    last = decision.producer()
    if decision.name == name:
        decision.name = f"{name}.own"
    assert last is not None and isinstance(last.graph, ir.Graph)
    shape = ir.Shape([] if like is None else ["N", *dims(decision)])
    given = ir.val(name, ir.DataType.BOOL, shape)
    value = given
    for node in _picks(way, given) or [build.op("Identity", [given], f"{name}.rows")]:
        last.graph.insert_after(last, node)
        last, value = node, node.outputs[0]
    decision.replace_all_uses_with(value, replace_graph_outputs=True)
    return given


def _picks(way: Way, given: ir.Value) -> list[ir.Node]:
    """Nodes that pick from a value with a row for each image what these gathers pick."""
    found: list[ir.Node] = []
    for number, gather in enumerate(way):
        source = found[-1].outputs[0] if found else given
        node = ir.Node(
            "",
            gather.op_type,
            [source, *gather.inputs[1:]],
            list(gather.attributes.values()),
            name=f"{given.name}.rows.{number}",
        )
        rows = gather.outputs[0].shape
        assert rows is not None
        # the name of the rows' dimension: one that was made up would be that of other rows, too
        node.outputs[0].name, node.outputs[0].type = node.name, given.type
        node.outputs[0].shape = ir.Shape([rows[0], *dims(given)])
        found.append(node)
    return found
