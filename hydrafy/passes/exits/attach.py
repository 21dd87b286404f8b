"""Attaches classifiers on the way to a network's own: it then answers several times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.answers import answers
from hydrafy.analysis.cuts import cuts
from hydrafy.errors import ModelError
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes.base import Pass
from hydrafy.passes.exits.classifiers import LINEAR, Head
from hydrafy.passes.fresh import Place


@dataclass(frozen=True)
class AttachClassifiers(Pass):
    """Each is a further prediction, `exits.0.logits` the earliest.

    Args:
        before: names of the stages or blocks before which one stands, or of cuts that it reads, in
            any order. Before a stage is in front of the convolutions that lead to it: right behind
            each block of a DenseNet.
        head: what they are like.
        seed: of their weights.
    """

    name: ClassVar[str] = "attach-classifiers"
    before: tuple[str, ...]
    head: Head = LINEAR
    seed: int = 0

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: there is no such place, or the network has exits of another recipe.
        """
        graph, rng = program.graph, np.random.default_rng(self.seed)
        last = answers(program)[-1].logits
        node = last.producer()
        if node is not None and ops.is_select(node):
            raise ModelError(
                "the network's prediction is a choice of another recipe's exits already, and the "
                "two kinds do not go together: leave out one of them"
            )
        found = places(program, self.before)
        for number, cut in enumerate(found.values()):
            place = Place(graph, _first_reader(graph, cut), f"exits.{number}", rng)
            graph.outputs.append(self.head.logits(place, cut, *dims(last)))
        return [f"an exit before {name}" for name in found]


def places(program: Program, names: Sequence[str]) -> dict[str, ir.Value]:
    """The cuts of some names, in the order of the network.

    Args:
        program: the network.
        names: of stages and blocks, for the cut before each, or of cuts.

    Raises:
        ModelError: there is no such place, or it lies behind the features that the head pools, or
            two names are of the same cut.
    """
    parts, every = anatomy(program), cuts(program)
    known = {cut.name or "": cut for cut in every}
    within = every[1 : every.index(parts.features)]
    found: dict[ir.Value, str] = {}
    for name in names:
        cut = known[name] if name in known else parts.entry(name)
        if cut in found:
            raise ModelError(f"{name} and {found[cut]} are the same place for an exit: name one")
        if cut not in within:
            where = "before the first layer" if cut is every[0] else "behind the last block"
            raise ModelError(
                f"an exit at {name!r} makes no sense, it lies {where}: use one of "
                f"{', '.join(list(parts.sites())[1:])}"
            )
        found[cut] = name
    return {found[cut]: cut for cut in within if cut in found}


def _first_reader(graph: ir.Graph, value: ir.Value) -> ir.Node:
    readers = set(value.consumers())
    return next(node for node in graph if node in readers)
