"""Predicates: the yes or no of an image that lets a region run, and where it can be read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.formulas import TURNED
from hydrafy.errors import ModelError
from hydrafy.ir import ops
from hydrafy.ir.values import constant

ASKED = ".asked"
"""What stands behind the name of a decision that lies in a region, where an output of its own name
tells it of the samples that get there: a predicate is read from that output."""

CONDITION = "hydrafy.condition"
"""Metadata of an If that lowering made: JSON, when its then-branch runs."""


_OPS: dict[str, Callable[..., np.ndarray]] = {
    "And": np.logical_and,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Not": np.logical_not,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
}


@dataclass(frozen=True)
class Predicate:
    """A bool for each image, or one for the whole batch.

    Attributes:
        name: what the dynamic program calls it.
        value: the tensor that it is read from, which lowering keeps; empty if there are operands.
        column: which column [N] of that tensor, if it is [N, columns]; None if it is all of it.
        op: what makes it of that, if it is not that itself.
        bound: what the tensor is compared with.
        operands: the predicates that logic makes it of.
    """

    name: str
    value: str = ""
    column: int | None = None
    op: str = ""
    bound: float = 0.0
    operands: tuple[Predicate, ...] = ()

    @property
    def atoms(self) -> tuple[Predicate, ...]:
        """Those that are read from tensors, and that logic makes it of; itself, if none does."""
        return tuple(atom for one in self.operands for atom in one.atoms) or (self,)

    @property
    def values(self) -> tuple[str, ...]:
        """The tensors that it is read from."""
        return tuple(dict.fromkeys(atom.value for atom in self.atoms))

    def of(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        """Bool [N] or [], from the tensors that were computed, by name."""
        if self.operands:
            return _OPS[self.op](*(one.of(found) for one in self.operands))
        whole = found[self.value]
        part = whole if self.column is None else whole[:, self.column]
        return _OPS[self.op](part, self.bound) if self.op else part


@dataclass(frozen=True)
class Condition:
    """A predicate, and whether it has to hold or not to hold."""

    predicate: Predicate
    holds: bool = True

    def negated(self) -> Condition:
        """The opposite."""
        return dataclasses.replace(self, holds=not self.holds)

    def __str__(self) -> str:
        return self.predicate.name if self.holds else f"not {self.predicate.name}"


def predicate(value: ir.Value) -> Predicate:
    """The predicate of a Select, of a dynamic program.

    A column of a matrix is read from there, a comparison from what is compared, and what logic
    makes from what it makes it of: lowering may have no use for the predicate itself, or move it
    into a region, where nobody can look.
    """
    name, node, found = value.name or "", value.producer(), column(value)
    if found is not None:
        return Predicate(name, (found[0].name or "").removesuffix(ASKED), found[1])
    if node is not None and node.domain == "" and node.op_type in ops.LOGIC:
        made = tuple(predicate(v) for v in node.inputs if v is not None)
        return Predicate(name, op=node.op_type, operands=made)
    if node is not None and node.domain == "" and node.op_type in ops.COMPARISONS:
        return _compared(node) or Predicate(name, name)
    return Predicate(name, name)


def _compared(node: ir.Node) -> Predicate | None:
    """A comparison with one constant number; None for any other."""
    kind, (left, right) = node.op_type, node.inputs
    if constant(left) is not None:
        kind, left, right = TURNED[kind], right, left
    bound = constant(right)
    if left is None or constant(left) is not None or bound is None or bound.size != 1:
        return None
    name = node.outputs[0].name or ""
    return Predicate(name, left.name or "", op=kind, bound=float(bound.item()))


def column(value: ir.Value | None) -> tuple[ir.Value, int] | None:
    """The matrix [N, columns] and the number of the column that a value was gathered from."""
    node = value.producer() if value is not None else None
    if node is None or node.op_type != "Gather" or "axis" not in node.attributes:
        return None
    index, source = constant(node.inputs[1]), node.inputs[0]
    if node.attributes["axis"].as_int() != 1 or index is None or index.ndim or source is None:
        return None
    return source, int(index)


def note(node: ir.Node, condition: Condition) -> None:
    """Writes into the metadata of an If when its then-branch runs."""
    node.metadata_props[CONDITION] = json.dumps(dataclasses.asdict(condition))


def noted(node: ir.Node) -> Condition | None:
    """What `note` wrote; None where nobody did.

    Raises:
        ModelError: something else stands there.
    """
    text = node.metadata_props.get(CONDITION)
    if text is None:
        return None
    try:
        fields = json.loads(text)
        return Condition(read_predicate(fields["predicate"]), bool(fields["holds"]))
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"node {node.name!r} has the condition {text[:40]!r}: lower the network again"
        ) from error


def read_predicate(fields: Any) -> Predicate:
    """A predicate from its fields, as JSON has them; KeyError or TypeError if they are others."""
    operands = tuple(read_predicate(one) for one in fields.get("operands", ()))
    return Predicate(**{**fields, "operands": operands})
