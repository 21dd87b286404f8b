"""Notes on onnxruntime's own kernels how much they compute, which their weights do not tell."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.analysis.cost import MACS, macs
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass

KERNELS = frozenset({"Conv", "FusedConv", "FusedGemm"})
NAME = re.compile(r"^(?:fused )?(.*?)(?:_nchwc|_token_\d+)*$")


@dataclass(frozen=True)
class NoteMacs(Pass):
    """Each kernel takes the MACs of the node that it was made of, found by its name.

    Blocked weights are filled up to whole blocks, and nobody knows the shapes of blocked images.

    Args:
        spent: MACs by name, as `by_name` finds them.
    """

    name: ClassVar[str] = "note-macs"
    spent: Mapping[str, int]

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        foreign = [
            node
            for node in program.graph.all_nodes()
            if node.domain != "" and node.op_type in KERNELS
        ]
        for node in foreign:
            found = self.spent.get(NAME.sub(r"\1", node.name or ""))
            if found is not None:
                node.metadata_props[MACS] = str(found)
        unknown = [node for node in foreign if MACS not in node.metadata_props]
        return [f"nobody knows the MACs of {node.name!r}" for node in unknown]


def by_name(program: Program) -> dict[str, int]:
    """The MACs of a program's nodes, by all the names that onnxruntime may give to their kernels.

    It calls a kernel after the node, or after its result, an activation behind it included.
    """
    return {
        name: macs(node)
        for node in program.graph.all_nodes()
        if macs(node)
        for name in _names(node)
    }


def _names(node: ir.Node) -> Iterator[str]:
    yield node.name or ""
    out = node.outputs[0]
    yield out.name or ""
    if len(out.uses()) == 1:
        yield out.consumers()[0].outputs[0].name or ""
