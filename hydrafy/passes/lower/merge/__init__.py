"""Merge: a Select takes in what stands around it, so that its regions hold whole fused kernels."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir.passes.common

from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.merge.again import again
from hydrafy.passes.lower.merge.relus import relus
from hydrafy.passes.lower.merge.sharing import sharing
from hydrafy.passes.lower.merge.sums import sums
from hydrafy.passes.lower.merge.through import through


@dataclass(frozen=True)
class Merge(Pass):
    """Algebra around Selects, until nothing is left to merge.

    - `Add(x, Select(p, a, 0))` is `Select(p, Add(x, a), x)`.
    - `Relu(Select(p, a, b))` is `Select(p, Relu(a), Relu(b))`; a Relu that changes nothing goes,
      that is, where b is proved to be no negative number.
    - `GAP(Select(p, a, b))` is `Select(p, GAP(a), GAP(b))`, where b is pooled already.
    - Where p holds, `Select(q, c, d)` is c if p implies q, and d if p excludes it: so a side reads
      through Selects whose predicate is known there, and what was two regions becomes one.
    - What sides of several Selects use, and nothing else, is `Select(p or q, v, 0)`.
    """

    name: ClassVar[str] = "merge"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes: list[str] = []
        while found := _around(program) or list(sharing(program)):
            notes += found
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        return notes


def _around(program: Program) -> list[str]:
    return [note for rule in (sums, relus, again, through) for note in rule(program)]
