"""Names the parts of a network: stem, tail (what is to be replicated) and head."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.analysis.cuts import between
from hydrafy.errors import ModelError
from hydrafy.ir.manifest import Rate
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass

RESERVED = frozenset({"branches", "combiner", "gate", "nothing", "picked", "tau"})
"""Names, and first parts of names with dots, that recipes give to what they insert."""


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
        """See the class.

        Raises:
            ModelError: an input or output has a name that is needed, or the features are an output.
        """
        graph = program.graph
        values = program.values()
        entry, features = values[self.entry], values[self.features]
        if features.is_graph_output():
            raise ModelError(
                f"output {features.name!r} is what the tail computes, which is to be replaced: "
                "remove it from the network's outputs"
            )
        tail = dict.fromkeys(between(entry, features))
        stem = dict.fromkeys(between(program.data_inputs[0], entry))
        fixed = {*graph.inputs, *graph.outputs}
        seen: dict[ir.Value, str] = {}
        for node in graph:
            part = "stem" if node in stem else "tail" if node in tail else "head"
            node.name = f"{part}.{node.name}"
            for value in (*node.inputs, *node.outputs):
                mine = value is not None and (value.is_initializer() or value.producer() is node)
                if value is not None and mine and value not in fixed and value not in seen:
                    seen[value] = value.name or ""
                    value.name = f"{part}.{value.name}"
        names, manifest = {v.name for v in seen}, program.manifest
        new = {old: value.name or "" for value, old in seen.items()}
        rates = (
            Rate(new.get(rate.predicate, rate.predicate), rate.share) for rate in manifest.rates
        )
        program.manifest = dataclasses.replace(manifest, rates=tuple(rates))
        settings = {entry.name for entry in manifest.runtime_inputs}
        for value in fixed:
            name = value.name or ""
            if name in names or (name.split(".")[0] in RESERVED and name not in settings):
                raise ModelError(
                    f"the network's input or output {name!r} has a name that the conversion needs: "
                    "rename it"
                )
        head = len(graph) - len(stem) - len(tail)
        return [f"{len(stem)} nodes are the stem, {len(tail)} the tail, {head} the head"]


def in_part(part: str, name: str) -> str:
    """A name of the tail under the prefix of one of its copies, `gate` or `branches.3`."""
    return f"{part}.{name.removeprefix('tail.')}"
