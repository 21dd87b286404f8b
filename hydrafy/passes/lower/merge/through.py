"""A side of a Select reads through another one whose predicate is known there."""

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.analysis.formulas import Formulas
from hydrafy.analysis.implications import known
from hydrafy.analysis.need import SIDES
from hydrafy.analysis.places import Place, Places, Side, common
from hydrafy.ir import ops
from hydrafy.ir.program import Program


@dataclass(frozen=True)
class Use:
    """One input that reads a Select; `holds` is what is known of its predicate there."""

    node: ir.Node
    slot: int
    place: Place
    holds: bool | None


def through(program: Program) -> Iterator[str]:
    """Each use of a Select where its predicate is known reads one of its sides instead.

    Not so where what that side needs would lose its region by it: then it would run for more rows
    than before.
    """
    formulas, places = Formulas(program.graph), Places.of(program)
    for select in reversed([node for node in program.graph if ops.is_select(node)]):
        read = _readable(select, places, formulas)
        for use in read:
            use.node.replace_input_with(use.slot, _side(select, holds=bool(use.holds)))
        if read:
            yield f"{select.name!r} is read through by {', '.join(_names(read))}"
            return


def _readable(select: ir.Node, places: Places, formulas: Formulas) -> list[Use]:
    """The uses of a Select that may read one of its sides."""
    out, pred = select.outputs[0], formulas.of(Side.of(select, holds=True).needs[0].predicate)

    def holds(place: Place) -> bool | None:
        return known(pred, [side.fact(formulas) for side in place])

    uses = [Use(node, slot, place, holds(place)) for node, slot, place in places.uses(out)]
    sure = {h: [u for u in uses if u.holds is h] for h in (True, False)}
    fitting = {h: found for h, found in sure.items() if _side(select, holds=h).shape == out.shape}
    free = {
        h: found
        for h, found in fitting.items()
        if found and not places.under(Side.of(select, holds=h))
    }
    kept = {
        h: found
        for h, found in fitting.items()
        if found and (h in free or holds(common(u.place for u in found)) is h)
    }
    if out.is_graph_output() or sum(map(len, kept.values())) < len(uses):
        kept = free  # the Select stays, and so do its regions
    return [use for found in kept.values() for use in found]


def _side(select: ir.Node, *, holds: bool) -> ir.Value:
    value = select.inputs[SIDES["a" if holds else "b"]]
    assert value is not None
    return value


def _names(uses: list[Use]) -> list[str]:
    return [repr(name) for name in dict.fromkeys(use.node.name for use in uses)]
