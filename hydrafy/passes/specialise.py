"""The static network that one fixed decision leaves: the oracle that a dynamic one is timed by."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.predicates import predicate
from hydrafy.analysis.signs import non_negative
from hydrafy.errors import ModelError
from hydrafy.ir import ops
from hydrafy.ir.manifest import Output
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant, dims
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.regions import Inserter

SUMS = ("Add", "Sum")


@dataclass(frozen=True)
class Specialise(Pass):
    """Replaces every Select by the side that the given decision takes for all samples.

    What is left is exactly the work that the lowered network does for a sample with this decision:
    the gates that are asked are still computed, they become outputs where they are none. A sum
    loses what adds nothing, and a Relu goes that has nothing left to cut off. Lowering takes it
    from there, with no Select left that could become a region.

    Args:
        decisions: by name, what predicates are (bool, one number) or are read from (bool
            [columns]): see `hydrafy.analysis.predicates`.
    """

    name: ClassVar[str] = "specialise"
    decisions: Mapping[str, np.ndarray]

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: the decision says nothing about a predicate.
        """
        graph = program.graph
        holds = {node: self._holds(node) for node in graph if ops.is_select(node)}
        _keep(program, _asked(program, holds))
        for select in holds:
            _choose(program, select, 1 if holds[select] else 2)
        for node in [node for node in graph if node.op_type in SUMS]:
            _drop_zeros(program, node)
        positive = non_negative(graph)
        for node in [node for node in graph if node.op_type == "Relu"]:
            (source,) = (v for v in node.inputs if v is not None)
            if source in positive and not node.outputs[0].is_graph_output():
                node.outputs[0].replace_all_uses_with(source)
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


def _asked(program: Program, holds: Mapping[ir.Node, bool]) -> dict[ir.Value, None]:
    """What the predicates of all Selects are read from that the chosen sides lead to."""
    values = program.values()
    found: dict[ir.Value, None] = {}
    seen: set[ir.Node] = set()
    role = program.manifest.role
    waiting = [v.producer() for v in program.graph.outputs if role(v.name or "") != "training"]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        inputs = list(node.inputs)
        if node in holds:
            pred = inputs[0]
            assert pred is not None
            found[values.get(predicate(pred).value, pred)] = None
            inputs = [pred, inputs[1 if holds[node] else 2]]
        waiting += [v.producer() for v in inputs if v is not None]
    return found


def _keep(program: Program, values: Mapping[ir.Value, None]) -> None:
    for value in values:
        if value.producer() is None or value.is_graph_output():
            continue
        program.graph.outputs.append(value)
        outputs = (*program.manifest.outputs, Output(value.name or "", "decision"))
        program.manifest = dataclasses.replace(program.manifest, outputs=outputs)


def _choose(program: Program, select: ir.Node, slot: int) -> None:
    """Lets one side of a Select take its place, in its full shape unless it is summed up."""
    chosen, out = select.inputs[slot], select.outputs[0]
    assert chosen is not None
    summed = not out.is_graph_output() and all(n.op_type in SUMS for n in out.consumers())
    if _is_scalar(chosen) and not summed:
        chosen = _full(program, chosen, out, select)
    if out.is_graph_output():  # which keeps its name
        if chosen.is_graph_output() or chosen.producer() is None:
            chosen = Inserter(program.graph, select, out.name or "").op("Identity", [chosen], "as")
        chosen.name, out.name = out.name, f"{out.name}.chosen"
    out.replace_all_uses_with(chosen, replace_graph_outputs=True)
    program.graph.remove(select, safe=True)


def _is_scalar(value: ir.Value) -> bool:
    array = constant(value)
    return array is not None and array.size == 1


def _full(program: Program, scalar: ir.Value, like: ir.Value, before: ir.Node) -> ir.Value:
    """A constant in every place of a tensor with a row for each sample."""
    to = Inserter(program.graph, before, before.name or "")
    made = to.op(
        "Expand", [scalar, to.batch(program.data_inputs[0], dims(like), "full")], "everywhere"
    )
    made.shape, made.type = like.shape, like.type
    return made


def _drop_zeros(program: Program, total: ir.Node) -> None:
    """Leaves out of a sum the scalars that add nothing."""
    graph = program.graph
    inputs = [v for v in total.inputs if v is not None]
    kept = [v for v in inputs if (c := constant(v)) is None or c.size > 1 or c.any()]
    if len(kept) == len(inputs):
        return
    old = total.outputs[0]
    if not kept:
        new = _full(program, inputs[0], old, total)
    elif len(kept) == 1:
        new = kept[0]
    else:
        fewer = ir.Node("", "Sum", kept, name=total.name)
        new = fewer.outputs[0]
        new.name, new.shape, new.type = old.name, old.shape, old.type
        old.name = f"{old.name}.all"
        graph.insert_before(total, fewer)
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    graph.remove(total, safe=True)
