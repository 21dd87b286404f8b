"""Needed: for which images of a batch the predictions depend on a value, predicates being known."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.rows import is_batched, mixes_rows
from hydrafy.ir.ops import is_gate, is_select
from hydrafy.ir.program import Program

Rows = np.ndarray[Any, np.dtype[np.bool_]]


def needed(program: Program, held: Mapping[str, np.ndarray], count: int) -> dict[ir.Value, Rows]:
    """Bool [count] for each value that a prediction of a dynamic program can depend on.

    A Select needs a where its predicate holds, and b elsewhere. A row of what mixes rows needs all
    of them. Decisions that are outputs are needed for what they decide, not as outputs.

    Args:
        program: a dynamic program.
        held: the predicates of its Selects by name, bool [count] or [].
        count: how many images there are.
    """
    found: dict[ir.Value, Rows] = {
        v: np.ones(count, bool)
        for v in program.graph.outputs
        if program.manifest.role(v.name or "") == "prediction"
    }
    for node in reversed(program.graph):
        known = [found[v] for v in node.outputs if v in found]
        if not known:
            continue
        rows = np.logical_or.reduce(known)
        for value, part in zip(node.inputs, _parts(node, rows, held), strict=True):
            if value is not None:
                found[value] = found.get(value, False) | part
    return found


def _parts(node: ir.Node, rows: Rows, held: Mapping[str, np.ndarray]) -> list[Rows]:
    """The rows that a node needs of each of its inputs, for these rows of its result."""
    if is_select(node):
        pred = node.inputs[0]
        assert pred is not None
        holds = np.broadcast_to(held[pred.name or ""], rows.shape)
        every = rows if is_batched(pred) else np.full_like(rows, rows.any())
        return [every, rows & holds, rows & ~holds]
    if not is_gate(node) and mixes_rows(node):
        rows = np.full_like(rows, rows.any())
    return [rows] * len(node.inputs)
