"""The static network that one fixed decision leaves: the oracle that a dynamic one is timed by."""

import dataclasses
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.predication.predicates import predicate
from hydrafy.errors import ModelError
from hydrafy.ir import ops
from hydrafy.ir.manifest import Output
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.sides import take_sides


@dataclass(frozen=True)
class Specialise(Pass):
    """Replaces every Select by the side that the given decision takes for all samples.

    What is left is exactly the work that the lowered network does for a sample with this decision:
    the gates that are asked are still computed, they become outputs where they are none; the others
    are not, and are none any more. A sum loses what adds nothing, and a Relu goes that has nothing
    left to cut off. Lowering takes it from there, with no Select left that could become a region.

    Args:
        decisions: by name, what predicates are (bool, one number) or are read from (bool
            [columns]): see `hydrafy.analysis.predication.predicates`.
    """

    name: ClassVar[str] = "specialise"
    decisions: Mapping[str, np.ndarray]

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: the decision says nothing about a predicate.
        """
        holds = {node: self._holds(node) for node in program.graph if ops.is_select(node)}
        runs = _runs(program, holds)
        _keep(program, _asked(program, [node for node in holds if node in runs]))
        _drop(program, runs)
        take_sides(program, holds)
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        program.manifest = dataclasses.replace(program.manifest, stage="regions", rates=())
        return []

    def _holds(self, select: ir.Node) -> bool:
        pred = select.inputs[0]
        assert pred is not None
        found = predicate(pred)
        if found.name in self.decisions:
            return bool(np.asarray(self.decisions[found.name]).item())
        if found.value in self.decisions and found.column is not None:
            return bool(np.ravel(self.decisions[found.value])[found.column])
        raise ModelError(
            f"the decision says nothing about {found.name!r}, the predicate of {select.name!r}"
        )


def _runs(program: Program, holds: Mapping[ir.Node, bool]) -> set[ir.Node]:
    """The nodes that predictions need if these sides of the Selects are taken.

    A decision is needed for what it decides, not as an output; one that decides nothing always is.
    """
    role = program.manifest.role
    told = [(v, role(v.name or "")) for v in program.graph.outputs]
    waiting = [v for v, r in told if r == "prediction" or (r == "decision" and not v.uses())]
    found: set[ir.Node] = set()
    while waiting:
        node = waiting.pop().producer()
        if node is None or node in found:
            continue
        found.add(node)
        inputs = list(node.inputs)
        if node in holds:
            inputs = [inputs[0], inputs[1 if holds[node] else 2]]
        waiting += [v for v in inputs if v is not None]
    return found


def _asked(program: Program, selects: Iterable[ir.Node]) -> dict[ir.Value, None]:
    """What the predicates of some Selects are read from."""
    values = program.values()
    predicates = [v for node in selects if (v := node.inputs[0]) is not None]
    return {values.get(predicate(v).value, v): None for v in predicates}


def _keep(program: Program, values: Mapping[ir.Value, None]) -> None:
    for value in values:
        if value.producer() is None or value.is_graph_output():
            continue
        program.graph.outputs.append(value)
        outputs = (*program.manifest.outputs, Output(value.name or "", "decision"))
        program.manifest = dataclasses.replace(program.manifest, outputs=outputs)


def _drop(program: Program, runs: Set[ir.Node]) -> None:
    """Removes the outputs of decisions that nobody gets to."""
    graph, manifest = program.graph, program.manifest
    decisions = {o.name for o in manifest.outputs if o.role == "decision"}
    gone = [v for v in graph.outputs if v.name in decisions and v.producer() not in runs]
    for value in gone:
        graph.outputs.remove(value)
    names = {v.name for v in gone}
    kept = tuple(o for o in manifest.outputs if o.name not in names)
    program.manifest = dataclasses.replace(manifest, outputs=kept)
