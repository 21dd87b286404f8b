"""Need: which nodes are used through one side of a Select only, and how often a node must run."""

import math
from collections.abc import Callable, Collection, Mapping, Set

import onnx_ir as ir

from hydrafy.analysis.predication.choices import noted_choice
from hydrafy.analysis.predication.predicates import noted
from hydrafy.errors import ModelError
from hydrafy.ir import ops
from hydrafy.ir.manifest import Role
from hydrafy.ir.program import Program

SHARE = "hydrafy.share"
"""Metadata of an If: JSON, the expected share of images for which its then-branch runs."""

SIDES = {"a": 1, "b": 2}


def alive(program: Program, roles: tuple[Role, ...] = ("prediction", "decision")) -> set[ir.Node]:
    """The nodes that the outputs of these roles depend on."""
    found: set[ir.Node] = set()
    stack = [v.producer() for v in _outputs(program, roles)]
    while stack:
        node = stack.pop()
        if node is None or node in found:
            continue
        found.add(node)
        stack += [v.producer() for v in node.inputs if v is not None]
    return found


def _outputs(program: Program, roles: tuple[Role, ...]) -> list[ir.Value]:
    return [v for v in program.graph.outputs if program.manifest.role(v.name or "") in roles]


def region(
    select: ir.Node,
    side: str,
    among: set[ir.Node] | None = None,
    movable: Callable[[ir.Node], bool] = lambda _: True,
    *,
    bundle: Collection[ir.Node] = (),
) -> list[ir.Node]:
    """The nodes whose every use is through one side of a Select, in reverse topological order.

    Args:
        select: a `Select(pred, a, b)`.
        side: `a` or `b`.
        among: the nodes whose uses count; all where None.
        movable: a node for which this is false, and what only it uses, stays outside.
        bundle: Selects that share their regions; uses through the same side of any of them count.
    """
    selects = {select, *bundle}
    slot = SIDES[side]
    inside: dict[ir.Node, None] = {}
    waiting = [v.producer() for one in selects if (v := one.inputs[slot]) is not None]
    while waiting:
        node = waiting.pop()
        if node is None or node in inside or not movable(node):
            continue
        if all(_only_here(v, selects, slot, inside, among) for v in node.outputs):
            inside[node] = None
            waiting += [v.producer() for v in node.inputs if v is not None]
    return list(inside)


def _only_here(
    value: ir.Value,
    selects: Set[ir.Node],
    slot: int,
    inside: dict[ir.Node, None],
    among: set[ir.Node] | None,
) -> bool:
    if value.is_graph_output() and among is None:
        return False
    for use in value.uses():
        if among is not None and use.node not in among:
            continue
        if use.node in inside or (use.node in selects and use.idx == slot):
            continue
        return False
    return True


def shares(program: Program, rates: Mapping[str, float] | None = None) -> dict[ir.Node, float]:
    """The share of images for which each node runs.

    What no prediction needs has the share 0: decisions are needed for what they decide, not as
    outputs. A predicate without a rate counts 1, on both of its sides.

    Args:
        program: of any stage.
        rates: how often predicates hold, by name; the others hold as often as the file says.
    """
    if program.stage in ("regions", "lowered"):
        return dict(_lowered(program.graph, 1.0, rates or {}))
    known = {rate.predicate: rate.share for rate in program.manifest.rates}
    known.update(rates or {})
    needed = alive(program, ("prediction",))
    outputs = {v.producer() for v in _outputs(program, ("prediction",))}
    found = {node: float(node in needed) for node in program.graph}
    for node in program.graph:
        if not ops.is_select(node) or node not in needed:
            continue
        pred = node.inputs[0]
        rate = known.get(pred.name or "") if pred is not None else None
        if rate is None:
            continue
        for side, share in (("a", rate), ("b", 1 - rate)):
            for member in region(node, side, needed, lambda n: n not in outputs):
                found[member] *= share
    return found


def _lowered(
    graph: ir.Graph, share: float, rates: Mapping[str, float]
) -> list[tuple[ir.Node, float]]:
    found = []
    for node in graph:
        found.append((node, share))
        rate = _given(node, rates)
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                then = attribute.name == "then_branch"
                inner = 1.0 if rate is None else rate if then else 1 - rate
                found += _lowered(attribute.as_graph(), share * inner, rates)
    return found


def _given(node: ir.Node, rates: Mapping[str, float]) -> float | None:
    """The share of images for which an If's predicate holds, by given rates, else as stated."""
    if (choice := noted_choice(node)) is not None:
        return choice.rate(rates)
    condition = noted(node) if rates else None
    if condition is None or condition.predicate.name not in rates:
        return stated(node)
    rate = rates[condition.predicate.name]
    return rate if condition.holds else 1 - rate


def stated(node: ir.Node) -> float | None:
    """The share of images for which an If's predicate holds, as lowering noted it; else None.

    Of an If of a tree, the share of those images that get there.

    Raises:
        ModelError: what is noted there is no share.
    """
    if (choice := noted_choice(node)) is not None:
        return choice.rate({})
    text = node.metadata_props.get(SHARE)
    if text is None:
        return None
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ModelError(f"node {node.name!r} has the share {text[:40]!r}: lower the network again")
    return share
