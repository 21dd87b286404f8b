"""Executed: which nodes run for an image, by the predicates that must hold for that together."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.cost import macs
from hydrafy.analysis.places import Need, Places
from hydrafy.analysis.predicates import Condition, noted, predicate
from hydrafy.analysis.shared import shared
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
    rates is that where predicates are correlated. Of a dynamic program it is what its lowered form
    runs, counted on the dense nodes.

    Raises:
        ModelError: the program branches, and does not say when.
    """
    lowered = program.stage in ("regions", "lowered")
    found = _lowered(program.graph, ALWAYS) if lowered else _dynamic(program)
    total: dict[Conditions, int] = {}
    for node, conditions in found:
        total[conditions] = total.get(conditions, 0) + macs(node)
    return tuple(Work(c, n) for c, n in total.items() if n)


def placed(program: Program) -> Iterator[tuple[ir.Node, Conditions]]:
    """Each node of a dynamic program that inference needs, and the sides of Selects it lies under.

    What several sides share lies under none of them.
    """
    for node, place in Places.of(program).nodes.items():
        yield node, _one(need for side in place for need in side.needs)


def _dynamic(program: Program) -> Iterator[tuple[ir.Node, Conditions]]:
    """Each node with all conditions under which it runs, of which at most one is met at a time."""
    for node, place in Places.of(program, shared(program)).nodes.items():
        for needs in itertools.product(*(_apart(side.needs) for side in place)):
            yield node, _one(itertools.chain(*needs))


def _apart(needs: Sequence[Need]) -> Iterator[Sequence[Need]]:
    """Needs of which one is met: the first one; the second one but not the first; and so on."""
    for number, need in enumerate(needs):
        yield (*(Need(n.predicate, not n.holds) for n in needs[:number]), need)


def _one(needs: Iterable[Need]) -> Conditions:
    return frozenset(Condition(predicate(need.predicate), need.holds) for need in needs)


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
