"""Which predicates are watched: those that let anything run, and choices that none of them has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from hydrafy.analysis.predication.executed import Work
from hydrafy.analysis.predication.need import alive
from hydrafy.analysis.predication.predicates import Predicate, noted, predicate
from hydrafy.ir import ops
from hydrafy.ir.program import Program


def predicates(program: Program, works: Sequence[Work]) -> tuple[Predicate, ...]:
    """The predicates of a program, in the order in which they are known.

    Of a dynamic program those of its Selects, of a lowered one those of its regions, but not those
    that only a region knows; also where no MACs depend on them. A choice that none of them reads,
    as that of a Select without a region, is called by its decision and its column, `open[0]`.

    Args:
        program: of any stage.
        works: what runs under which conditions; their predicates are among the result.

    Raises:
        ModelError: a region has a condition that nobody can read.
    """
    order = {name: place for place, name in enumerate(readable(program))}
    found = {condition.predicate for one in works for condition in one.conditions}
    found |= {one for one in _asked(program) if all(value in order for value in one.values)}
    read = {(one.value, one.column) for one in found if not one.operands}
    found |= {one for one in _choices(program) if (one.value, one.column) not in read}

    def when(one: Predicate) -> tuple[int, int, str]:
        return max(order[value] for value in one.values), one.column or 0, one.name

    return tuple(sorted(found, key=when))


def readable(program: Program) -> list[str]:
    """The values that are not inside of a region, where nobody can look, in their order."""
    computed = (value.name or "" for node in program.graph for value in node.outputs)
    return [*program.graph.initializers, *computed]


def _asked(program: Program) -> Iterator[Predicate]:
    if program.stage == "dynamic":
        selects = (node for node in alive(program) if ops.is_select(node))
        yield from (predicate(pred) for node in selects if (pred := node.inputs[0]) is not None)
        return
    for node in program.graph.all_nodes():
        if node.op_type == "If" and (condition := noted(node)) is not None:
            yield condition.predicate


def _choices(program: Program) -> Iterator[Predicate]:
    for value in program.graph.outputs:
        if program.manifest.role(value.name or "") == "decision":
            yield from _columns(value)


def _columns(value: ir.Value) -> Iterator[Predicate]:
    name, shape = value.name or "", list(value.shape or ())
    if len(shape) == 1:
        yield Predicate(name, name)
    elif len(shape) == 2 and isinstance(shape[1], int):
        yield from (Predicate(f"{name}[{column}]", name, column) for column in range(shape[1]))
