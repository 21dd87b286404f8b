"""Shared work: what several sides of Selects use, and nothing else, has to run for some rows only.

It lies in no region of theirs, so without a side of its own it would run for every row.
"""

from collections.abc import Iterator

import onnx_ir as ir

from hydrafy.analysis.cost import macs
from hydrafy.analysis.predication.formulas import Formula, Formulas, signed
from hydrafy.analysis.predication.implications import known
from hydrafy.analysis.predication.places import Need, Place, Places, Side
from hydrafy.analysis.rows import is_batched, mixes_rows
from hydrafy.ir.program import Program

MOST = 4
"""Needs of a side at most: that one of more is met is hardly ever false, and costs a node each."""


def shared(program: Program) -> list[Side]:
    """A side for each value that would save work; its owner computes the value.

    Its needs are the weakest of its users', if all others imply that one. A value that decides
    about its users is left out, and so is one whose users between them always need it.
    """
    found, vain, places = list[Side](), set[ir.Node](), Places.of(program)
    while True:
        taken = vain | {side.owner for side in found}
        side = next(_sides(program, places, taken), None)
        if side is None:
            return found
        more = Places.of(program, [*found, side])
        if any(macs(node) and not _runs_no_more(node, side, places) for node in more.under(side)):
            found.append(side)
            places = more
        else:
            vain.add(side.owner)


def _runs_no_more(node: ir.Node, side: Side, places: Places) -> bool:
    """Whether a node runs where a side is needed only, as it is."""
    return known(side.fact(places.formulas)[0], places.facts(places.nodes[node])) is True


def _sides(program: Program, places: Places, taken: set[ir.Node]) -> Iterator[Side]:
    for node in reversed(program.graph):
        if node in places.nodes and node not in taken and node.outputs[0].dtype in _FLOATS:
            side = _side(node, places)
            if side is not None:
                yield side


def _side(node: ir.Node, places: Places) -> Side | None:
    """The side of what a node computes, if there can be one."""
    value, here, formulas = node.outputs[0], places.nodes[node], places.formulas
    beyond = [_beyond(use.place, here) for use in places.possible(value)]
    if value.is_graph_output() or not beyond or not all(beyond):
        return None
    needs = _weakest(dict.fromkeys(n for place in beyond for n in place[0].needs), formulas)
    side = Side(node, tuple(needs))
    if len(needs) > MOST or known(side.fact(formulas)[0], places.facts(here)):
        return None
    if side.is_row_wise and (mixes_rows(node) or not is_batched(value)):
        return None
    return None if any(_feeds(node, need.predicate) for need in needs) else side


def _beyond(place: Place, here: Place) -> Place:
    return tuple(side for side in place if side not in here)


def _weakest(needs: dict[Need, None], formulas: Formulas) -> list[Need]:
    """The needs that imply no other one."""
    found: list[tuple[Need, Formula]] = []
    for need in needs:
        formula = signed(formulas.of(need.predicate), need.holds)
        if any(known(other, [(formula, True)]) for _, other in found):
            continue
        found = [(n, f) for n, f in found if not known(formula, [(f, True)])]
        found.append((need, formula))
    return [need for need, _ in found]


def _feeds(node: ir.Node, value: ir.Value) -> bool:
    """Whether a value is computed from what a node computes."""
    seen: set[ir.Node] = set()
    waiting = [value.producer()]
    while waiting:
        one = waiting.pop()
        if one is node:
            return True
        if one is not None and one not in seen:
            seen.add(one)
            waiting += [v.producer() for v in one.inputs if v is not None]
    return False


_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16})
