"""Inserts gates that let a sample bypass residual blocks."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.anatomy import Anatomy, Block, anatomy
from hydrafy.analysis.cost import macs
from hydrafy.analysis.layers import channels
from hydrafy.errors import ModelError, nearest
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import Output, Rate, RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass

TAU = "tau"
RESIDUAL = ("identity", "projection")


@dataclass(frozen=True)
class InsertBypass(Pass):
    """`s(x) + F(x)` becomes `s(x) + Select(open, F(x), 0)`, with a gate that looks at x, pooled.

    The shortcut s is the identity, or what changes the shape.

    The gate: global average pooling, a layer of `hidden` units, one score, Sigmoid, a threshold.
    (Probabilistic gates, Section 4.1.1; ConvNet-AIG.)

    Args:
        blocks: names of residual blocks, as `inspect` lists them; all if none is named.
        onwards: whether a gate decides for its block and all behind it in the stage, which then
            must have the identity as shortcut: `Select(open, F(x), x)`.
        tau: the default of the run-time input `tau` [1, 1]; 0 opens every gate.
        hidden: units of the hidden layer.
        seed: of the gates' weights.
    """

    name: ClassVar[str] = "insert-bypass"
    blocks: tuple[str, ...] = ()
    onwards: bool = False
    tau: float = 0.5
    hidden: int = 16
    seed: int = 0

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: there is no such block, or none at all, or it changes the shape, or the
                network is dynamic already.
        """
        if any(ops.is_select(node) for node in program.graph):
            raise ModelError("gates go before blocks of a static network: insert them first")
        parts = anatomy(program)
        found = {n: b for n, b in parts.sites().items() if b.kind in RESIDUAL}
        unknown = [name for name in self.blocks if name not in found]
        if unknown:
            raise ModelError(f"there is no block {unknown[0]!r}: {nearest(unknown[0], found)}")
        chosen = {name: found[name] for name in self.blocks or found}
        if not chosen:
            raise ModelError("the network has no block that a sample could bypass")
        graph, rng = program.graph, np.random.default_rng(self.seed)
        tau = build.weight(graph, TAU, np.full((1, 1), self.tau, np.float32))
        tau.shape = ir.Shape(["tau_rows", "tau_gates"])
        graph.inputs.append(tau)
        gates = [
            self._gate(graph, self._behind(parts, block), f"gates.{number}", tau, rng)
            for number, block in enumerate(chosen.values())
        ]
        manifest = program.manifest
        predicates = [v.name or "" for gate in gates for v in gate]
        program.manifest = dataclasses.replace(
            manifest,
            stage="dynamic",
            outputs=(
                *manifest.outputs,
                *(Output(decision.name or "", "decision") for decision, _ in gates),
            ),
            runtime_inputs=(
                *manifest.runtime_inputs,
                RuntimeInput(TAU, 0.0, 1.0, 0.0, "blocks whose gate is below it do not run"),
            ),
            rates=(*manifest.rates, *(Rate(name, 0.5) for name in predicates[1::2])),
        )
        return [f"a gate before {name}" for name in chosen]

    def _behind(self, parts: Anatomy, block: Block) -> tuple[Block, ...]:
        """The blocks that the gate before a block decides for."""
        (stage,) = (stage for stage in parts.stages if block in stage.blocks)
        at = stage.blocks.index(block)
        return stage.blocks[at:] if self.onwards else (block,)

    def _gate(
        self,
        graph: ir.Graph,
        run: tuple[Block, ...],
        path: str,
        tau: ir.Value,
        rng: np.random.Generator,
    ) -> tuple[ir.Value, ir.Value]:
        """The decision [N, 1] of a new gate, and its predicate [N], by which F(x) is selected."""
        entry, first = run[0].entry, run[0].nodes[0]

        def put(kind: str, inputs: list[ir.Value | None], name: str, **kwargs: Any) -> ir.Value:
            domain = ops.DOMAIN if kind in ops.names() else ""
            node = build.op(kind, inputs, f"{path}.{name}", domain=domain, **kwargs)
            graph.insert_before(first, node)
            return node.outputs[0]

        def linear(x: ir.Value, name: str, size: int, out: int) -> ir.Value:
            scale = 1 / np.sqrt(size)
            rows = (rng.standard_normal((out, size)) * scale).astype(np.float32)
            weight = build.weight(graph, f"{path}.{name}.weight", rows)
            bias = build.weight(graph, f"{path}.{name}.bias", np.zeros(out, np.float32))
            return put("Gemm", [x, weight, bias], name, transB=1)

        pooled = put("Flatten", [put("GlobalAveragePool", [entry], "pool")], "flat")
        seen = put("Relu", [linear(pooled, "hidden", channels(entry), self.hidden)], "relu")
        score = put("Sigmoid", [linear(seen, "logit", self.hidden, 1)], "scores")
        decision = put("ThresholdGate", [score, tau], "open")
        column = build.weight(graph, f"{path}.column", np.array(0, np.int64))
        pred = put("Gather", [decision, column], "predicate", axis=1)
        nothing = build.weight(graph, f"{path}.nothing", np.array(0, np.float32))
        if self.onwards:
            _skip(graph, run, pred, f"{path}.select")
        else:
            add = _join(run[0])
            place = _residual(run[0], add)
            inputs = [pred, add.inputs[place], nothing]
            select = build.op("Select", inputs, f"{path}.select", domain=ops.DOMAIN)
            graph.insert_before(add, select)
            add.replace_input_with(place, select.outputs[0])
        graph.outputs.append(decision)
        return decision, pred


def _skip(graph: ir.Graph, run: tuple[Block, ...], pred: ir.Value, name: str) -> None:
    """Lets what blocks compute be what they read where a predicate does not hold."""
    entry, end = run[0].entry, run[-1].exit
    if any(block.kind != "identity" for block in run):
        raise ModelError(f"a block behind {entry.name!r} changes the shape: gate it by itself")
    select = build.op("Select", [pred, end, entry], name, domain=ops.DOMAIN)
    graph.insert_after(run[-1].nodes[-1], select)
    for use in list(end.uses()):
        if use.node is not select:
            use.node.replace_input_with(use.idx, select.outputs[0])


def _join(block: Block) -> ir.Node:
    """The Add of a block's shortcut and what it computes."""
    for node in reversed(block.nodes):
        operands = [v for v in node.inputs if v is not None and constant(v) is None]
        if node.op_type == "Add" and len(operands) == 2:
            return node
    raise ModelError(f"the block at {block.entry.name!r} ends in no Add of two values")


def _residual(block: Block, add: ir.Node) -> int:
    """Which operand of a block's Add is F(x): the one with more work behind it."""
    inside = set(block.nodes)

    def work(value: ir.Value | None) -> int:
        found: set[ir.Node] = set()
        waiting = [value.producer() if value is not None else None]
        while waiting:
            node = waiting.pop()
            if node in inside and node not in found:
                found.add(node)
                waiting += [v.producer() for v in node.inputs if v is not None]
        return sum(macs(node) for node in found)

    return max((0, 1), key=lambda place: work(add.inputs[place]))
