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
    steps = [(g.op_type, list(g.inputs[1:]), dict(g.attributes)) for g in way]
    value = given
    for number, (kind, rest, attributes) in enumerate(steps or [("Identity", [], {})]):
        node = ir.Node("", kind, [value, *rest], attributes.values(), name=f"{name}.rows.{number}")
        value = node.outputs[0]
        value.name = node.name
        build.infer(node)
        last.graph.insert_after(last, node)
        last = node
    decision.replace_all_uses_with(value, replace_graph_outputs=True)
    return given
