"""Inserts early exits: classifiers on the way, and gates that let a sample leave there."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.classifier import classifier
from hydrafy.analysis.layers import channels
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import Output, Rate, RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class InsertExits(Pass):
    """The logits become `Select(sure_1, y_1, Select(sure_2, y_2, ... y))`.

    An exit: global average pooling, a linear classifier, and its largest probability against the
    run-time input `exits.I.tau` [1, 1]. (Improved Techniques for Training Adaptive Deep Networks,
    Section 3.1, with a linear classifier.)

    Args:
        before: names of the stages or blocks before which an exit stands, in order.
        tau: the default threshold of every exit.
        seed: of the classifiers' weights.
    """

    name: ClassVar[str] = "insert-exits"
    before: tuple[str, ...]
    tau: float = 0.9
    seed: int = 0

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: there is no such stage or block, or no classifier at the end.
        """
        parts, last = anatomy(program), classifier(program)
        cuts = [parts.entry(name) for name in self.before]
        rng = np.random.default_rng(self.seed)
        logits, exits = last.logits, []
        readers = list(logits.uses())
        for number, cut in enumerate(cuts):
            exits.append(self._exit(program, cut, f"exits.{number}", last.rows.shape[0], rng))
        chosen = logits
        for number, (early, sure) in reversed(list(enumerate(exits))):
            select = build.op(
                "Select", [sure, early, chosen], f"exits.{number}.select", domain=ops.DOMAIN
            )
            node = chosen.producer()
            assert node is not None
            program.graph.insert_after(node, select)
            chosen = select.outputs[0]
        for use in readers:
            use.node.replace_input_with(use.idx, chosen)
        if logits.is_graph_output():
            _take_over(program.graph, logits, chosen)
        self._declare(program, exits)
        return [f"an exit before {name}" for name in self.before]

    def _exit(
        self, program: Program, cut: ir.Value, path: str, classes: int, rng: np.random.Generator
    ) -> tuple[ir.Value, ir.Value]:
        """The logits [N, classes] of a new exit at a cut, and whether they are sure: bool [N]."""
        graph, last = program.graph, cut.producer()
        assert last is not None

        def put(kind: str, inputs: list[ir.Value | None], name: str, **kwargs: Any) -> ir.Value:
            nonlocal last
            domain = ops.DOMAIN if kind in ops.names() else ""
            node = build.op(kind, inputs, f"{path}.{name}", domain=domain, **kwargs)
            assert last is not None
            graph.insert_after(last, node)
            last = node
            return node.outputs[0]

        def const(name: str, array: np.ndarray) -> ir.Value:
            return build.weight(graph, f"{path}.{name}", array)

        size = channels(cut)
        rows = (rng.standard_normal((classes, size)) / np.sqrt(size)).astype(np.float32)
        weight, bias = const("weight", rows), const("bias", np.zeros(classes, np.float32))
        pooled = put("Flatten", [put("GlobalAveragePool", [cut], "pool")], "flat")
        logits = put("Gemm", [pooled, weight, bias], "logits", transB=1)
        softmax = put("Softmax", [logits], "probabilities", axis=1)
        score = put("ReduceMax", [softmax, const("axis", np.array([1]))], "confidence", keepdims=1)
        tau = const("tau", np.full((1, 1), self.tau, np.float32))
        tau.shape = ir.Shape([f"{path}.tau_rows", 1])
        graph.inputs.append(tau)
        decision = put("ThresholdGate", [score, tau], "sure")
        column = const("column", np.array(0, np.int64))
        return logits, put("Gather", [decision, column], "predicate", axis=1)

    def _declare(self, program: Program, exits: list[tuple[ir.Value, ir.Value]]) -> None:
        program.graph.outputs.extend(logits for logits, _ in exits)
        manifest = program.manifest
        what = "samples leave there whose largest probability reaches it"
        program.manifest = dataclasses.replace(
            manifest,
            stage="dynamic",
            outputs=(*manifest.outputs, *(Output(y.name or "", "training") for y, _ in exits)),
            runtime_inputs=(
                *manifest.runtime_inputs,
                *(RuntimeInput(f"exits.{i}.tau", 0.0, 1.1, 1.1, what) for i in range(len(exits))),
            ),
            rates=(*manifest.rates, *(Rate(sure.name or "", 0.5) for _, sure in exits)),
        )


def _take_over(graph: ir.Graph, old: ir.Value, new: ir.Value) -> None:
    """Lets a value be an output in the place of another one, under its name."""
    name, old.name = old.name, f"{old.name}.last"
    new.name = name
    for place, value in enumerate(graph.outputs):
        if value is old:
            graph.outputs[place] = new
