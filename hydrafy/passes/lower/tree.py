"""Makes a tree of Ifs of a sum of regions of which exactly one runs for an image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.predication.choices import Choice, Option, note_choice
from hydrafy.analysis.predication.need import SHARE
from hydrafy.analysis.predication.picks import picks
from hydrafy.analysis.predication.predicates import column, noted
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.regions import Inserter, replace
from hydrafy.passes.lower.row_ifs import lone_region

UINT8 = int(ir.DataType.UINT8)


@dataclass(frozen=True)
class TreeOfIfs(Pass):
    """A Sum over all columns of a decision that picks one: with a batch of one, it is a choice.

    The picked column's number has a code, a bool for each level of a binary tree, and each If asks
    for one of them. Five Ifs are on the way to one of 20 regions, where there were 20 and a sum.
    The regions are the leaves: their weights stay theirs.
    """

    name: ClassVar[str] = "tree-of-ifs"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes = [
            _tree(graph, node, *found)
            for graph in list(program.model.graphs())
            for node in list(graph)
            if (found := _choice(node)) is not None
        ]
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)  # columns
        return notes


def _choice(total: ir.Node) -> tuple[ir.Value, list[ir.Node]] | None:
    """The decision that picks one of the operands of a Sum, and its regions, in their order."""
    regions = [lone_region(value) for value in total.inputs]
    if total.op_type != "Sum" or len(regions) < 2:
        return None
    columns = [column(node.inputs[0]) if node is not None else None for node in regions]
    known = {c[1]: n for c, n in zip(columns, regions, strict=True) if c and n is not None}
    sources = {c[0] for c in columns if c is not None}
    if len(known) < len(regions) or len(sources) > 1:
        return None
    (decision,) = sources
    bounds = picks(decision)
    if bounds is None or not bounds.exactly_one:
        return None
    every = range(*dims(decision))
    return (decision, [known[i] for i in every]) if known.keys() == {*every} else None


def _tree(graph: ir.Graph, total: ir.Node, decision: ir.Value, regions: list[ir.Node]) -> str:
    name = total.name or "sum"
    leaves = [node.attributes["a"].as_graph() for node in regions]
    options = [_option(node) for node in regions]
    bits = _bits(Inserter(graph, total, name), decision, len(regions))
    for node in regions:
        node.attributes.pop("a")
    root = _if(leaves, options, bits, name, total.outputs[0])
    graph.insert_before(total, root)
    replace(graph, total, root.outputs[0])
    graph.remove(regions, safe=True)
    return f"{name!r} is a tree of Ifs: one of {len(regions)} regions runs"


def _bits(to: Inserter, decision: ir.Value, count: int) -> list[ir.Value]:
    """For each level of the tree, whether the picked column is on the left there: bools [1, 1]."""
    table = codes(count)
    numbers = to.op("Cast", [decision], "numbers", to=UINT8)
    picked = to.op("ArgMax", [numbers], "picked", axis=1, keepdims=0)
    code = to.op("Gather", [to.const("codes", table), picked], "code", axis=0)
    names = [f"level.{level}" for level in range(table.shape[1])]
    return to.split(code, None, names, axis=1) if len(names) > 1 else [code]


def codes(count: int) -> np.ndarray:
    """Bool [count, levels]: the way to each leaf of a binary tree, True being left.

    Halves differ by one leaf at most; a way that ends early goes on with False.
    """
    if count == 1:
        return np.zeros((1, 0), bool)
    halves = [codes(size) for size in _halves(count)]
    levels = max(half.shape[1] for half in halves)
    below = [np.pad(half, ((0, 0), (0, levels - half.shape[1]))) for half in halves]
    first = np.arange(count)[:, None] < len(below[0])
    return np.concatenate([first, np.concatenate(below)], axis=1)


def _halves(count: int) -> tuple[int, int]:
    return (count + 1) // 2, count // 2


def _if(
    leaves: Sequence[ir.Graph],
    options: Sequence[Option],
    bits: Sequence[ir.Value],
    name: str,
    like: ir.Value,
) -> ir.Node:
    """The If over some leaves, two or more, which asks for the first of the bits."""
    left, _ = _halves(len(leaves))
    parts = slice(None, left), slice(left, None)
    sides = [
        _side(leaves[part], options[part], bits[1:], f"{name}.{number}", like)
        for number, part in enumerate(parts)
    ]
    graphs = [
        ir.AttrGraph(side, graph)
        for side, graph in zip(("then_branch", "else_branch"), sides, strict=True)
    ]
    node = ir.Node("", "If", [bits[0]], graphs, name=f"{name}.if")
    out = node.outputs[0]
    out.name, out.type, out.shape = f"{name}.result", like.type, like.shape
    note_choice(node, Choice(*(tuple(options[part]) for part in parts)))
    return node


def _side(
    leaves: Sequence[ir.Graph],
    options: Sequence[Option],
    bits: Sequence[ir.Value],
    name: str,
    like: ir.Value,
) -> ir.Graph:
    if len(leaves) == 1:
        return leaves[0]
    node = _if(leaves, options, bits, name, like)
    return ir.Graph([], node.outputs, nodes=[node], name=name)


def _option(node: ir.Node) -> Option:
    """What a region is for, as sinking noted it."""
    condition, share = noted(node), node.metadata_props.get(SHARE)
    assert condition is not None
    return Option(condition.predicate, None if share is None else json.loads(share))
