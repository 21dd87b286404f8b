"""Executed: which nodes run for an image, by the predicates that must hold for that together."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.cost import macs
from hydrafy.analysis.need import SIDES, alive, region
from hydrafy.analysis.predicates import Condition, noted, predicate
from hydrafy.analysis.rows import is_batched, mixes_rows
from hydrafy.errors import ModelError
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.ir.titles import title

Conditions = frozenset[Condition]
ALWAYS: Conditions = frozenset()


@dataclass(frozen=True)
class Work:
    """What runs for an image if all of some conditions are met; `macs` of one image."""

    conditions: Conditions
    macs: int

    def runs(self, found: Mapping[str, np.ndarray], images: int) -> np.ndarray:
        """For which of the images it runs: bool [images].

        Args:
            found: the tensors that the predicates are read from, by name.
            images: how many there are.
        """
        met = np.ones(images, bool)
        for condition in self.conditions:
            met &= condition.predicate.of(found) == condition.holds
        return met


def work(program: Program) -> tuple[Work, ...]:
    """The MACs of a program, divided by the conditions under which they are spent.

    An image costs the MACs of all work whose conditions its predicates meet. No product of mean
    rates is that where predicates are correlated. Of a dynamic program it is what its lowered form
    runs, counted on the dense nodes.

    Raises:
        ModelError: the program branches, and does not say when.
    """
    lowered = program.stage in ("regions", "lowered")
    found = _lowered(program.graph, ALWAYS) if lowered else placed(program)
    total: dict[Conditions, int] = {}
    for node, conditions in found:
        total[conditions] = total.get(conditions, 0) + macs(node)
    return tuple(Work(c, n) for c, n in total.items() if n)


def placed(program: Program) -> Iterator[tuple[ir.Node, Conditions]]:
    """Each node of a dynamic program that inference needs, and when, as lowering sinks it."""
    needed = alive(program)
    found = dict.fromkeys(needed, ALWAYS)
    for select in reversed(program.graph):  # the outer Selects first
        if not ops.is_select(select) or select not in needed:
            continue
        pred = select.inputs[0]
        assert pred is not None
        movable = _movable(program, select, found)
        for side in SIDES:
            condition = Condition(predicate(pred), side == "a")
            for node in region(select, side, needed, movable):
                found[node] |= {condition}
    yield from found.items()


def _movable(
    program: Program, select: ir.Node, found: Mapping[ir.Node, Conditions]
) -> Callable[[ir.Node], bool]:
    """Whether a node beside a Select may run on some rows only."""
    role, pred, place = program.manifest.role, select.inputs[0], found[select]
    kept = {v.producer() for v in program.graph.outputs if role(v.name or "") != "training"}
    row_wise = pred is not None and is_batched(pred)

    def movable(node: ir.Node) -> bool:
        if node in kept or found[node] != place:
            return False
        return not (row_wise and mixes_rows(node))

    return movable


def _lowered(graph: ir.Graph, conditions: Conditions) -> Iterator[tuple[ir.Node, Conditions]]:
    for node in graph:
        yield node, conditions
        graphs = {k: a.as_graph() for k, a in node.attributes.items() if _is_graph(a)}
        if not graphs:
            continue
        condition = noted(node) if node.op_type == "If" else None
        if condition is None:
            raise ModelError(f"{title(node)} does not say when it runs: lower the network again")
        yield from _lowered(graphs["then_branch"], conditions | {condition})
        yield from _lowered(graphs["else_branch"], conditions | {condition.negated()})


def _is_graph(attribute: ir.Attr) -> bool:
    return attribute.type == ir.AttributeType.GRAPH
