"""Formulas: what a predicate is made of, down to bools and comparisons that nothing explains."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.numbers import numbers
from hydrafy.analysis.rows import is_batched
from hydrafy.ir import ops
from hydrafy.ir.values import constant

Element = tuple[int, int]
"""The number of a value and one of its columns, 0 where it has one number a row, or is scalar."""


@dataclass(frozen=True)
class Flag:
    """A bool that may be either, whatever else is known."""

    of: Hashable


@dataclass(frozen=True)
class Compared:
    """A number compared with a fixed one, or two numbers with each other, the bound being 0."""

    of: Hashable
    kind: str
    bound: float


@dataclass(frozen=True)
class Logic:
    """`And`, `Or`, `Xor` or `Not` of others; an And of none holds always, an Or of none never."""

    kind: str
    operands: tuple[Formula, ...]


Formula = Flag | Compared | Logic

TURNED = {
    "Greater": "Less",
    "GreaterOrEqual": "LessOrEqual",
    "Less": "Greater",
    "LessOrEqual": "GreaterOrEqual",
}
"""What a comparison is called with its operands exchanged."""


class Formulas:
    """The formulas of the bools of a dynamic program, each for a row of its own.

    What gates decide is not looked into: a column of a gate is a flag.
    """

    def __init__(self, nodes: Iterable[ir.Node]) -> None:
        self._numbers = numbers(nodes)

    def of(self, value: ir.Value, column: int = 0) -> Formula:
        """The formula of a bool [N] or [], or of a column of a bool [N, columns]."""
        array, node = constant(value), value.producer()
        if array is not None:
            held = _held(array, column, _rank(value))
            return Flag(self._element(value, column)) if held is None else always(bool(held))
        if node is None or node.domain != "" or _rank(value) > 2:
            return Flag(self._element(value, column))
        return self._made(node, column) or Flag(self._element(value, column))

    def _made(self, node: ir.Node, column: int) -> Formula | None:
        """What a standard op makes, None where nothing is known of that."""
        given = [v for v in node.inputs if v is not None]
        rank = _rank(node.outputs[0])
        if node.op_type in ops.LOGIC:
            return Logic(node.op_type, tuple(self.of(v, _own(v, column, rank)) for v in given))
        if node.op_type in ops.COMPARISONS:
            return self._compared(node.op_type, given[0], given[1], column, rank)
        if node.op_type == "Identity":
            return self.of(given[0], column)
        if node.op_type in ops.VIEWS and _is_one_a_row(node.outputs[0], given[0]):
            return self.of(given[0])
        if node.op_type == "Gather" and node.attributes.get_int("axis", 0) == 1:
            index, shape = constant(given[1]), given[0].shape
            if index is None or index.ndim > 1 or shape is None or not isinstance(shape[1], int):
                return None
            return self.of(given[0], int(index.reshape(-1)[column]) % shape[1])
        return None

    def _compared(
        self, kind: str, left: ir.Value, right: ir.Value, column: int, rank: int
    ) -> Formula | None:
        fixed = [_held(constant(v), _own(v, column, rank), rank) for v in (left, right)]
        if fixed[0] is not None:
            kind, left, right, fixed = TURNED[kind], right, left, fixed[::-1]
        mine, other = (self._element(v, _own(v, column, rank)) for v in (left, right))
        if fixed[0] is not None or (fixed[1] is not None and np.isnan(fixed[1])):
            return None
        if fixed[1] is not None:
            return Compared(mine, kind, fixed[1])
        if mine > other:
            mine, other, kind = other, mine, TURNED[kind]
        return Compared((mine, other), kind, 0)

    def _element(self, value: ir.Value, column: int) -> Element:
        # a value that no node reads or makes is one of its own
        return self._numbers.setdefault(value, -1 - len(self._numbers)), column


def always(holds: bool) -> Formula:
    """A formula that holds always, or never."""
    return Logic("And" if holds else "Or", ())


def either(formulas: Iterable[Formula]) -> Formula:
    """That at least one of some formulas holds."""
    return Logic("Or", tuple(formulas))


def signed(formula: Formula, holds: bool) -> Formula:
    """The formula, or its opposite."""
    return formula if holds else Logic("Not", (formula,))


def atoms(formula: Formula) -> Iterator[Flag | Compared]:
    """The flags and comparisons in a formula."""
    if not isinstance(formula, Logic):
        yield formula
        return
    for operand in formula.operands:
        yield from atoms(operand)


def _rank(value: ir.Value) -> int:
    return value.shape.rank() if value.shape is not None else 0


def _own(value: ir.Value, column: int, rank: int) -> int:
    """The column of an operand from which a column of a result of that rank comes."""
    shape = value.shape
    if shape is None or rank < 2 or not shape.rank() or shape[-1] == 1:
        return 0
    return column


def _held(array: np.ndarray[Any, Any] | None, column: int, rank: int) -> Any:
    """What a constant contributes to a column of every row of a result of that rank, if one."""
    if array is None or (array.ndim == rank > 0 and len(array) != 1) or array.ndim > rank:
        return None
    row = array.reshape(-1)
    return row[column if len(row) > 1 else 0].item()


def _is_one_a_row(*values: ir.Value) -> bool:
    """Whether all values have one number for each sample."""
    shapes = [v.shape for v in values]
    each = all(s is not None and all(d == 1 for d in s[1:]) for s in shapes)
    return each and all(is_batched(v) for v in values)
