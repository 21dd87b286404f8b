"""What several sides of Selects share becomes a Select of its own."""

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.places import Need, Side
from hydrafy.analysis.predication.shared import shared
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.lower.merge.selects import select


def sharing(program: Program) -> Iterator[str]:
    """A value v that the sides of p and q need, and nothing else, becomes `Select(p or q, v, 0)`.

    Rows that need it not may be anything: nobody looks at them.
    """
    graph, made = program.graph, dict[frozenset[Need], ir.Value]()
    for side in shared(program):
        value = side.owner.outputs[0]
        assert value.dtype is not None
        needs = frozenset(side.needs)
        if needs not in made:
            made[needs] = _needed(graph, side)
        nothing = build.weight(graph, f"{value.name}.nothing", np.zeros((), value.dtype.numpy()))
        twin = select(made[needs], value, nothing, f"{value.name}.shared")
        for use in list(value.uses()):
            if use.node is not twin:
                use.node.replace_input_with(use.idx, twin.outputs[0])
        graph.append(twin)
        predicates = " or ".join(f"{'' if holds else 'not '}{p.name!r}" for p, holds in side.needs)
        yield f"{side.owner.name!r}, which several Selects share, runs where {predicates} holds"
    if made:
        graph.sort()


def _needed(graph: ir.Graph, side: Side) -> ir.Value:
    """Whether one of the needs of a side is met: bool [N] or []."""
    stem, found = f"{side.owner.outputs[0].name}.needed", list[ir.Value]()
    for number, (predicate, holds) in enumerate(side.needs):
        if not holds:
            opposite = build.op("Not", [predicate], f"{stem}.not.{number}")
            graph.append(opposite)
            predicate = opposite.outputs[0]
        found.append(predicate)
    result, *others = found
    for number, other in enumerate(others):
        both = build.op("Or", [result, other], f"{stem}.{number}")
        graph.append(both)
        result = both.outputs[0]
    return result
