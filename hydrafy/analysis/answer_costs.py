"""What the answer of each exit takes, if all runs that may have to run for it."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from hydrafy.analysis.answers import ancestors
from hydrafy.analysis.cost import macs
from hydrafy.analysis.exits import Exits
from hydrafy.analysis.predication.need import region
from hydrafy.analysis.predication.picks import picks
from hydrafy.analysis.predication.predicates import column
from hydrafy.ir import ops
from hydrafy.ir.program import Program


def shares(program: Program, found: Exits) -> tuple[float, ...]:
    """What an answer takes, as shares of the MACs of the one that takes most: the last, in general.

    Those of each exit, and at last of the end. All counts that may have to run for the answer: the
    decisions that lead there, both sides of any other Select, and of branches of which only some
    are picked as many as can be, the dearest.
    """
    read, nodes = list[ir.Value](), []
    for one in found.early:
        read.append(one.decision)
        nodes.append(ancestors(*read, one.logits))
    nodes.append(ancestors(*read, found.last))
    spent = list(map(_most, nodes))
    return tuple(one / max(spent) for one in spent)


def _most(nodes: set[ir.Node]) -> int:
    """The MACs of nodes if as many branches are picked as can be, the dearest.

    Branches within a branch all count.
    """
    bundles: dict[tuple[ir.Value, int], list[ir.Node]] = {}
    for node in nodes:
        read = column(node.inputs[0]) if ops.is_select(node) else None
        if read is not None and picks(read[0]) is not None:
            bundles.setdefault(read, []).append(node)
    branches = {of: region(b[0], "a", nodes, bundle=b) for of, b in bundles.items()}
    within = {member for members in branches.values() for member in members}
    costs: dict[ir.Value, list[int]] = {}
    for (decision, number), members in branches.items():
        if within.isdisjoint(bundles[decision, number]):
            costs.setdefault(decision, []).append(_spent(members))
    total = _spent(nodes)
    for decision, own in costs.items():
        limit = picks(decision)
        assert limit is not None
        total -= sum(sorted(own, reverse=True)[limit.most :])
    return total


def _spent(nodes: Iterable[ir.Node]) -> int:
    return sum(map(macs, nodes))
