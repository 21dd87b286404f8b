"""Attribution: which part of a network a node of a profile belongs to."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.choices import leaves, noted_choice
from hydrafy.analysis.predication.predicates import noted
from hydrafy.execute.profile import Event, Trace
from hydrafy.ir import ops
from hydrafy.ir.program import Program

STEM, GATES, BETWEEN, HEAD = "stem", "gates", "between regions", "head"
ROWS = "gather, scatter, layout"
RUNTIME = "between nodes, profiling included"
PREFIXES = re.compile(r"^(fused |InsertedPrecisionFreeCast_)")
SUFFIXES = re.compile(r"(_nchwc|_token_\d+|_QuantizeLinear|_DequantizeLinear)*$")
MADE = re.compile(r"\.(folded|inside|beside|conv)$")  # of a node that lowering made of another


@dataclass(frozen=True)
class PartTime:
    """A part of a network, and its share of the time of a run."""

    name: str
    share: float


def bare(name: str) -> str:
    """The name of a node in a profile without what onnxruntime's optimiser put around it."""
    return SUFFIXES.sub("", PREFIXES.sub("", name))


def origin(name: str, known: Container[str]) -> str | None:
    """The node of the dense network that a node of a profile comes from; None if from none.

    Args:
        name: of the node in the profile.
        known: the names of all nodes of the dense network, in any spelling.
    """
    spelled = bare(name)
    while spelled not in known and MADE.search(spelled):
        spelled = MADE.sub("", spelled)
    return spelled if spelled in known else None


def spellings(node: ir.Node) -> Iterator[str]:
    """The names by which a profile may know a node: a fused one is called after its result."""
    yield node.name or ""
    yield from (value.name or "" for value in node.outputs)


@dataclass(frozen=True)
class Places:
    """Where the nodes of a lowered network belong.

    Attributes:
        regions: the condition of each If, by the name of the If.
        parts: outside of regions, the part of each node of the dense network, by its names.
        inside: the names of all nodes of the dense network.
        chosen: the predicate for which a tree of Ifs runs each node of the dense network.
    """

    regions: Mapping[str, str]
    parts: Mapping[str, str]
    inside: frozenset[str]
    chosen: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(dense: Program, lowered: Program) -> Places:
        """Looks up the nodes of both forms of a network."""
        ifs = [node for node in lowered.graph.all_nodes() if node.op_type == "If"]
        parts = {name: part for node, part in _parts(dense) for name in spellings(node)}
        inside = frozenset(name for node in dense.graph for name in spellings(node))
        regions = {n.name or "": str(noted(n) or n.name) for n in ifs if noted_choice(n) is None}
        chosen = {
            name: predicate.name
            for root in ifs
            for leaf, predicate in leaves(root)
            for node in leaf
            for spelled in spellings(node)
            if (name := origin(spelled, inside)) is not None
        }
        return Places(regions, parts, inside, chosen)

    def part(self, event: Event) -> str:
        """The part that a node's time counts for.

        What the dense network has not is there for the regions' sake.
        """
        name = origin(event.name, self.inside) or bare(event.name)
        if name not in self.inside and not self._in_gate(name):
            return ROWS
        if name in self.chosen:
            return self.chosen[name]
        around = [self.regions[one] for one in event.regions if one in self.regions]
        return around[-1] if around else self.parts.get(name, GATES)

    def _in_gate(self, name: str) -> bool:
        """Whether the body of a gate holds the node: it is called after the gate."""
        gate = name.rpartition(".")[0]
        return self.parts.get(gate) == GATES


def times(traces: Sequence[Trace], places: Places) -> tuple[PartTime, ...]:
    """The share of each part in the mean run, the largest first.

    A node counts with the median of what it took, times how often it ran, so that a disturbed
    run does not count.
    """
    spent: dict[tuple[str, str], list[float]] = {}
    for trace in traces:
        for event in trace.events:
            key = (places.part(event), event.name)
            spent.setdefault(key, []).append(event.microseconds)
        rest = trace.microseconds - sum(event.microseconds for event in trace.events)
        spent.setdefault((RUNTIME, ""), []).append(max(rest, 0.0))
    parts: dict[str, float] = {}
    for (part, _), each in spent.items():
        parts[part] = parts.get(part, 0.0) + float(np.median(each)) * len(each)
    whole = sum(parts.values())
    ordered = sorted(parts.items(), key=lambda one: -one[1])
    return tuple(PartTime(name, one / whole) for name, one in ordered)


def _parts(dense: Program) -> Iterator[tuple[ir.Node, str]]:
    """What each node is if it runs in any case: of the stem, the gates, the head, or between."""
    role, selects = dense.manifest.role, [node for node in dense.graph if ops.is_select(node)]
    scores = [v for v in dense.graph.outputs if role(v.name or "") == "prediction"]
    data = _before(scores)
    ahead = _before([v for node in selects for v in node.inputs[1:] if v is not None])
    behind = set(selects)
    for node in dense.graph:
        if any(v is not None and v.producer() in behind for v in node.inputs):
            behind.add(node)
    for node in dense.graph:
        if node not in data:
            yield node, GATES
        elif node not in behind:
            yield node, STEM
        else:
            yield node, BETWEEN if node in ahead else HEAD


def _before(values: Sequence[ir.Value]) -> set[ir.Node]:
    """What values are computed from, without the predicates of Selects."""
    found: set[ir.Node] = set()
    waiting = [value.producer() for value in values]
    while waiting:
        node = waiting.pop()
        if node is None or node in found:
            continue
        found.add(node)
        inputs = node.inputs[1:] if ops.is_select(node) else node.inputs
        waiting += [v.producer() for v in inputs if v is not None]
    return found
