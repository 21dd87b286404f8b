"""Names the parts of a network: stem, tail (what is to be replicated) and head."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.analysis.cuts import between
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class NameParts(Pass):
    """Prefixes nodes, values and weights with `stem.`, `tail.` and `head.` by where they stand.

    Args:
        entry: the cut at which the stem ends.
        features: the cut at which the tail ends.
    """

    name: ClassVar[str] = "name-parts"
    entry: str
    features: str

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph = program.graph
        values = program.values()
        entry, features = values[self.entry], values[self.features]
        tail = dict.fromkeys(between(entry, features))
        stem = dict.fromkeys(between(program.data_inputs[0], entry))
        fixed = {*graph.inputs, *graph.outputs}
        seen: set[ir.Value] = set()
        for node in graph:
            part = "stem" if node in stem else "tail" if node in tail else "head"
            node.name = f"{part}.{node.name}"
            for value in (*node.inputs, *node.outputs):
                mine = value is not None and (value.is_initializer() or value.producer() is node)
                if value is not None and mine and value not in fixed and value not in seen:
                    seen.add(value)
                    value.name = f"{part}.{value.name}"
        head = len(graph) - len(stem) - len(tail)
        return [f"{len(stem)} nodes are the stem, {len(tail)} the tail, {head} the head"]


def in_part(part: str, name: str) -> str:
    """A name of the tail under the prefix of one of its copies, `gate` or `branches.3`."""
    return f"{part}.{name.removeprefix('tail.')}"
