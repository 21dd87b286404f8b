"""Places: the sides of Selects through which alone a node is used, the outermost first."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple

import onnx_ir as ir

from hydrafy.analysis.predication.formulas import Formulas, either, signed
from hydrafy.analysis.predication.implications import Fact, known
from hydrafy.analysis.predication.need import SIDES, alive
from hydrafy.analysis.rows import is_batched, mixes_rows
from hydrafy.ir import ops
from hydrafy.ir.manifest import Role
from hydrafy.ir.program import Program


class Need(NamedTuple):
    """A predicate, and whether it has to hold or not to hold."""

    predicate: ir.Value
    holds: bool


@dataclass(frozen=True)
class Side:
    """What runs where one of some needs is met.

    Attributes:
        owner: the last Select of a bundle, or the node whose result several sides share.
        needs: the one of the Select's side, or those of all who share.
    """

    owner: ir.Node
    needs: tuple[Need, ...]

    @property
    def is_row_wise(self) -> bool:
        """Whether it runs for some rows of a batch, instead of for all or none."""
        return any(is_batched(need.predicate) for need in self.needs)

    def fact(self, formulas: Formulas) -> Fact:
        """What is known where it runs."""
        return either(signed(formulas.of(n.predicate), n.holds) for n in self.needs), True


Place = tuple[Side, ...]


class Use(NamedTuple):
    """One input of a node that reads a value, and the place of that use."""

    node: ir.Node
    slot: int
    place: Place


@dataclass(frozen=True)
class Places:
    """Where the nodes of a dynamic program lie: what sinking makes of its Selects.

    Attributes:
        nodes: the place of each node that inference needs; outputs lie under no side.
        bundles: for each Select those that share their regions with it, itself included, the last
            one first: of one predicate, in one place, and none computed from another. A Select
            further within joins those that need what it chooses from.
        never: those nodes that cannot be needed, for the sides they lie under exclude each other.
        formulas: of the program's predicates.
    """

    nodes: Mapping[ir.Node, Place]
    bundles: Mapping[ir.Node, list[ir.Node]]
    never: Set[ir.Node]
    formulas: Formulas

    @staticmethod
    def of(program: Program, shared: Iterable[Side] = ()) -> Places:
        """Looks at a dynamic program.

        Args:
            program: what to look at.
            shared: sides that are no Select's, each of what its owner computes.
        """
        needed, role = alive(program), program.manifest.role
        kept = {v.producer() for v in program.graph.outputs if _stays(v, role(v.name or ""))}
        owned = {side.owner: side for side in shared}
        found: dict[ir.Node, Place] = {}
        bundles: dict[ir.Node, list[ir.Node]] = {}
        never: set[ir.Node] = set()
        places = Places(found, bundles, never, Formulas(program.graph))
        for node in reversed(program.graph):
            if node not in needed:
                continue
            uses = [use for v in node.outputs for use in places.uses(v)]
            possible = [use for use in uses if not places._excludes(use)]
            if not possible and node not in kept:
                never.add(node)
            place = () if node in kept else common(use.place for use in possible or uses)
            if node in owned:
                place = (*place, owned[node])
            if not ops.is_gate(node) and mixes_rows(node):  # lowering spreads thresholds
                place = tuple(itertools.takewhile(lambda side: not side.is_row_wise, place))
            if ops.is_select(node):
                bundle = next(places._bundles_for(node, place), [])
                place = found[bundle[0]] if bundle else place
                bundles[node] = bundle
                bundle.append(node)
            found[node] = place
        return places

    def side(self, select: ir.Node, *, holds: bool) -> Side:
        """The side of a Select that is taken where its predicate holds, or the other one."""
        pred = select.inputs[0]
        assert pred is not None
        return Side(self.bundles[select][0], (Need(pred, holds),))

    def uses(self, value: ir.Value) -> list[Use]:
        """All uses of a value that inference needs."""
        uses = [(use.node, use.idx) for use in value.uses() if use.node in self.nodes]
        return [Use(node, slot, self._use(node, slot)) for node, slot in uses]

    def possible(self, value: ir.Value) -> list[Use]:
        """The uses of a value through sides that do not exclude each other."""
        return [use for use in self.uses(value) if not self._excludes(use)]

    def under(self, side: Side) -> list[ir.Node]:
        """The nodes that lie under a side."""
        return [node for node, place in self.nodes.items() if side in place]

    def facts(self, place: Place) -> list[Fact]:
        """What is known in a place."""
        return [side.fact(self.formulas) for side in place]

    def _use(self, node: ir.Node, slot: int) -> Place:
        here = self.nodes[node]
        if ops.is_select(node) and slot in SIDES.values():
            return (*here, self.side(node, holds=slot == SIDES["a"]))
        return here

    def _bundles_for(self, select: ir.Node, place: Place) -> Iterator[list[ir.Node]]:
        """The bundles that a Select before them may join, which lies in a place by itself."""
        for last, bundle in self.bundles.items():
            there = self.nodes[last]
            if last is not bundle[0] or last.inputs[0] is not select.inputs[0]:
                continue
            near = there == place or (there == place[: len(there)] and self._shares(select, last))
            if near and not self._feeds(select, bundle):
                yield bundle

    def _shares(self, select: ir.Node, last: ir.Node) -> bool:
        """Whether regions of another Select compute what this one chooses from, in any case."""
        for name, slot in SIDES.items():
            value, side = select.inputs[slot], self.side(last, holds=name == "a")
            if value is not None and any(side in use.place for use in self.uses(value)):
                return True
        return False

    def _feeds(self, select: ir.Node, bundle: Iterable[ir.Node]) -> bool:
        """Whether something of a bundle is computed from a Select, all other bundles being one."""
        seen: set[ir.Node] = set()
        waiting = [v for one in bundle for v in one.inputs]
        while waiting:
            value = waiting.pop()
            node = value.producer() if value is not None else None
            if node is select:
                return True
            if node is not None and node not in seen:
                seen.add(node)
                waiting += [v for one in self.bundles.get(node, (node,)) for v in one.inputs]
        return False

    def _excludes(self, use: Use) -> bool:
        """Whether one of the sides that a use lies under is never taken within the others."""
        if use.node in self.never:
            return True
        here = self.nodes[use.node]
        beyond = use.place[len(here) :]
        return any(known(s.fact(self.formulas)[0], self.facts(here)) is False for s in beyond)


def _stays(value: ir.Value, role: Role) -> bool:
    """Whether an output is computed for every row; a decision need not be, see `tell-reached`."""
    return role == "prediction" or (role == "decision" and not value.uses())


def common(places: Iterable[Place]) -> Place:
    """The sides that all of some places lie under."""
    first, *rest = places
    return tuple(side for side in first if all(side in other for other in rest))
