"""Predicates: the yes or no of an image that lets a region run, and where it can be read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir.values import constant

CONDITION = "hydrafy.condition"
"""Metadata of an If that lowering made: JSON, when its then-branch runs."""


@dataclass(frozen=True)
class Predicate:
    """A bool for each image, or one for the whole batch.

    Attributes:
        name: what the dynamic program calls it.
        value: the tensor that it is read from, which lowering keeps.
        column: which column [N] of that tensor, if it is [N, columns]; None if it is all of it.
    """

    name: str
    value: str
    column: int | None = None

    def of(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        """Bool [N] or [], from the tensors that were computed, by name."""
        whole = found[self.value]
        return whole if self.column is None else whole[:, self.column]


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

    A column of a matrix is read from there: lowering may have no use for the column itself.
    """
    name, found = value.name or "", column(value)
    if found is None:
        return Predicate(name, name)
    return Predicate(name, found[0].name or "", found[1])


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
        return Condition(Predicate(**fields["predicate"]), bool(fields["holds"]))
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"node {node.name!r} has the condition {text[:40]!r}: lower the network again"
        ) from error
