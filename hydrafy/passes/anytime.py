"""Gives a network with exits a budget: a sample leaves before what would take more than it may."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.answer_costs import shares
from hydrafy.analysis.exits import Exit, exits
from hydrafy.errors import ModelError
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.regions import Inserter
from hydrafy.passes.settings import setting

BUDGET = "budget"
STEPS = 1000
"""Shares are rounded up to thousandths, and compared as they are told: a budget of 0.252 is enough
for what is said to take 0.252."""


@dataclass(frozen=True)
class Anytime(Pass):
    """A sample leaves at an exit where it is sure, or where the next answer is beyond its budget.

    The budget is a run-time input, one for all samples or one for each: the share of the MACs of
    the whole network that an answer may take. With less than the first exit takes, the answer is
    the first exit's. A decision that is an output tells what happened, as before.
    """

    name: ClassVar[str] = "anytime"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: there are no exits.
        """
        found = exits(program)
        if not found.early:
            raise ModelError(
                "the network has no exits at which a budget could stop it: convert it with some "
                "first, or lower it without --anytime"
            )
        steps = tuple(math.ceil(share * STEPS) / STEPS for share in shares(program, found))
        each = _budget(program, steps)
        for one, step in zip(found.early, steps[1:], strict=True):
            _limit(program.graph, one, each, step)
        return [
            f"behind {one.logits.name!r} a sample needs a budget of {step:g}"
            for one, step in zip(found.early, steps[1:], strict=True)
        ]


def _budget(program: Program, steps: tuple[float, ...]) -> ir.Value:
    """The new run-time input, with a row for each sample: [N, 1]."""
    *early, last = (f"{step:g}" for step in steps)
    told = f"{', '.join(early)} for the exits, {last} for the end"
    meaning = f"the share of all MACs that an answer may take: {told}"
    entry = RuntimeInput(BUDGET, 0.0, 1.0, 1.0, meaning, steps=steps)
    budget = setting(program, entry, np.ones((1, 1), np.float32), "exits")
    to, images = Inserter(program.graph, program.graph[0], budget.name or ""), program.data_inputs
    each = to.op("EachRow", [images[0], budget], "each", domain=ops.DOMAIN)
    each.shape = ir.Shape([images[0].shape[0] if images[0].shape is not None else None, 1])
    return each


def _limit(graph: ir.Graph, one: Exit, budget: ir.Value, step: float) -> None:
    """A decision follows from its gate and from whether a budget [N, 1] is below a step."""
    gate = one.decision.producer()
    assert gate is not None
    name = one.decision.name or ""
    least = build.weight(graph, f"{name}.step", np.array([[step]], np.float32))
    nodes = [build.op("Less", [budget, least], f"{name}.beyond")]
    if not one.leaves:
        nodes.append(build.op("Not", [nodes[0].outputs[0]], f"{name}.within"))
    joined = [one.decision, nodes[-1].outputs[0]]
    nodes.append(build.op("Or" if one.leaves else "And", joined, f"{name}.limited"))
    graph.insert_after(gate, nodes)
    limited = nodes[-1].outputs[0]
    one.decision.replace_all_uses_with(limited, replace_graph_outputs=True)
    nodes[-1].replace_input_with(0, one.decision)
    gate.name = one.decision.name = f"{name}.alone"  # gates are named as what they decide
    limited.name = name
