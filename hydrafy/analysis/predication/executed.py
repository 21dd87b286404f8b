"""Executed: which nodes run for an image, by the predicates that must hold for that together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.cost import macs
from hydrafy.analysis.predication.choices import noted_choice
from hydrafy.analysis.predication.places import Places
from hydrafy.analysis.predication.predicates import Condition, noted, predicate
from hydrafy.errors import ModelError
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
    rates is that where predicates are correlated. Of a dynamic program it is what its regions would
    run as it stands; of a merged one (`passes/lower/merge`), what they do.

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
    for node, place in Places.of(program).nodes.items():
        needs = (need for side in place for need in side.needs)
        yield node, frozenset(Condition(predicate(n.predicate), n.holds) for n in needs)


def _lowered(graph: ir.Graph, conditions: Conditions) -> Iterator[tuple[ir.Node, Conditions]]:
    for node in graph:
        yield node, conditions
        graphs = {k: a.as_graph() for k, a in node.attributes.items() if _is_graph(a)}
        if not graphs:
            continue
        for side, inner in graphs.items():
            yield from _lowered(inner, conditions | _added(node, side))


def _added(node: ir.Node, side: str) -> Conditions:
    """When a branch of an If runs, given that the If does."""
    if (choice := noted_choice(node)) is not None:
        return choice.conditions(side)
    condition = noted(node) if node.op_type == "If" else None
    if condition is None:
        raise ModelError(f"{title(node)} does not say when it runs: lower the network again")
    return frozenset({condition if side == "then_branch" else condition.negated()})


def _is_graph(attribute: ir.Attr) -> bool:
    return attribute.type == ir.AttributeType.GRAPH
