"""Takes the decisions of a network from its caller: for probes, oracles and experiments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.analysis.gathers import Way, gathers
from hydrafy.analysis.inlined import Inlined, inlined
from hydrafy.errors import ModelError
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes.base import Pass
from hydrafy.passes.cut import Cut


@dataclass(frozen=True)
class ForceDecisions(Pass):
    """Decisions become inputs of the same names; what made them goes.

    A gate within a region of a lowered program is given the rows that the region runs on.

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
        sites = inlined(program)
        within = {
            name: site
            for name in forced
            if (site := sites.get(name)) is not None and site.decision.graph is not program.graph
        }
        ways = gathers(program) if within else {}
        given = [_feed(program, name, site, ways) for name, site in within.items()]
        outside = tuple(name for name in forced if name not in within)
        unknown = set(outside) - set(program.values())
        if unknown:
            raise ModelError(f"nothing in the network decides {min(unknown)!r}")
        Cut(outside, tuple(n for n in names if n not in forced)).apply(program)
        program.graph.inputs.extend(given)
        return [f"{len(forced)} decisions are inputs now"]


def _feed(program: Program, name: str, site: Inlined, ways: dict[ir.Value, Way]) -> ir.Value:
    """Replaces what a gate within a region decides by rows of a new input, which is returned."""
    way = ways.get(site.inputs["scores"])
    if way is None:
        raise ModelError(f"gate {name!r} lies in a region whose rows cannot be told")
    own = program.values().get(name)
    if own is not None:
        own.name = f"{name}.own"
    decision, last = site.decision, site.decision.producer()
    if decision.name == name:
        decision.name = f"{name}.own"
    assert last is not None and isinstance(last.graph, ir.Graph)
    given = ir.val(name, ir.DataType.BOOL, ["N", *dims(decision)])
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
