"""A side of a Select reads through another one whose predicate is known there."""

from collections.abc import Iterator

import onnx_ir as ir

from hydrafy.analysis.predication.implications import known
from hydrafy.analysis.predication.need import SIDES
from hydrafy.analysis.predication.places import Place, Places, Use, common
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant


def through(program: Program) -> Iterator[str]:
    """Each use of a Select where its predicate is known reads one of its sides instead.

    Not so where what that side needs would lose its region by it: then it would run for more rows
    than before.
    """
    places = Places.of(program)
    for select in reversed([node for node in program.graph if ops.is_select(node)]):
        read = _readable(select, places)
        for use, value in read:
            use.node.replace_input_with(use.slot, value)
        if read:
            names = ", ".join(dict.fromkeys(repr(use.node.name) for use, _ in read))
            yield f"{select.name!r} is read through by {names}"
            return


def _readable(select: ir.Node, places: Places) -> list[tuple[Use, ir.Value]]:
    """The uses of a Select that may read one of its sides, and which value that is."""
    out = select.outputs[0]
    if select not in places.nodes:
        return []
    uses = [(use, _holds(select, use.place, places)) for use in places.uses(out)]
    free, found = list[tuple[Use, ir.Value]](), list[tuple[Use, ir.Value]]()
    for holds in (True, False):
        value = select.inputs[SIDES["a" if holds else "b"]]
        assert value is not None
        mine = [use for use, known in uses if known is holds and _fits(use, value, out)]
        if mine and not places.under(places.side(select, holds=holds)):
            free += [(use, value) for use in mine]
        elif mine and _holds(select, common(use.place for use in mine), places) is holds:
            found += [(use, value) for use in mine]
    everything = not out.is_graph_output() and len(free) + len(found) == len(uses)
    return free + found if everything else free  # if the Select stays, so do its regions


def _holds(select: ir.Node, place: Place, places: Places) -> bool | None:
    """What is known of a Select's predicate in a place."""
    (need,) = places.side(select, holds=True).needs
    return known(places.formulas.of(need.predicate), places.facts(place))


def _fits(use: Use, value: ir.Value, out: ir.Value) -> bool:
    """Whether a side may stand in the place of a Select; a scalar may on the other side of one."""
    if value.shape == out.shape:
        return True
    return ops.is_select(use.node) and use.slot == SIDES["b"] and constant(value) is not None
