"""Inserts the gate that picks, for each sample, which branches run."""

import dataclasses
import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.anatomy import Block
from hydrafy.analysis.channels import coupling, keep
from hydrafy.analysis.classifier import classifier
from hydrafy.analysis.cuts import between
from hydrafy.analysis.pooling import pool_that_fits
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import Output, RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.classifier import classify
from hydrafy.passes.parts import in_part
from hydrafy.passes.settings import setting
from hydrafy.passes.template import Template

PICKED = "picked"
TAU = "tau"


@dataclass(frozen=True)
class InsertGate(Pass):
    """Narrow copy of the tail, GAP, FC and softmax: the best k branches at or over tau run.

    Its scores start from the source's classifier: a branch's row is the mean of its classes' rows.
    The best branch always runs. (HydraNets, Section 3.2 and 4.2; DynK, Algorithm 1.)

    Args:
        entry: the cut before the tail.
        features: the cut behind it.
        partition: the classes of each branch.
        k: the most branches that a sample may have.
        tau: the default of the run-time input `tau` [1, 1], broadcast to [N, branches].
        width: relative width of the gate's copy of the tail (w_g).
        pool: the gate sees the stem's result averaged over squares of this size, if it fits.
        skip: blocks of the tail that the gate leaves out.
        neutral: the tau at which the network computes what its source did, if there is one.
    """

    name: ClassVar[str] = "insert-gate"
    entry: str
    features: str
    partition: tuple[tuple[int, ...], ...]
    k: int
    tau: float
    width: float
    pool: int = 1
    skip: tuple[Block, ...] = ()
    neutral: float | None = None

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph = program.graph
        values = program.values()
        entry, features = values[self.entry], values[self.features]
        nodes = self.nodes(entry, features)
        pairs = tuple((block.entry, block.exit) for block in self.skip)
        kept = keep(coupling(nodes, entry, pairs), self.width)
        template = Template(nodes, entry, kept, pairs)
        pool = pool_that_fits(between(entry, features), entry, self.pool)
        seen = _pooled(graph, entry, pool)
        copies = template.stamp(graph, functools.partial(in_part, "gate"), seen)
        last = classifier(program, features)
        logits = classify(
            graph,
            copies[features],
            np.stack([last.rows[list(g)][:, kept[features]].mean(0) for g in self.partition]),
            np.array([last.bias[list(g)].mean() for g in self.partition]),
            "gate",
        )
        scores = build.op("Softmax", [logits], "gate.scores", axis=-1)
        meaning = "branches whose probability is below it do not run"
        given = RuntimeInput(TAU, 0.0, 1.0, self.neutral, meaning)
        tau = setting(program, given, np.full((1, 1), self.tau, np.float32), "dynk")
        picked = build.op("TopKGate", [scores.outputs[0], tau], PICKED, domain=ops.DOMAIN, k=self.k)
        graph.extend([scores, picked])
        graph.outputs.extend([picked.outputs[0], logits])
        manifest = program.manifest
        program.manifest = dataclasses.replace(
            manifest,
            stage="dynamic",
            outputs=(
                *manifest.outputs,
                Output(PICKED, "decision"),
                Output(logits.name or "", "training"),
            ),
        )
        notes = [
            f"a gate of width {self.width:g} over {len(self.partition)} branches, k = {self.k}"
        ]
        if pool < self.pool:
            notes.append(f"the gate's pooling is {pool}: {self.pool} does not fit the tail's sizes")
        return notes

    def nodes(self, entry: ir.Value, features: ir.Value) -> list[ir.Node]:
        """The tail's nodes, without those of the skipped blocks."""
        left_out = {node for block in self.skip for node in block.nodes}
        return [node for node in between(entry, features) if node not in left_out]


def _pooled(graph: ir.Graph, x: ir.Value, size: int) -> ir.Value:
    if size == 1:
        return x
    square = [size, size]
    node = build.op("AveragePool", [x], "gate.entry_pool", kernel_shape=square, strides=square)
    graph.append(node)
    return node.outputs[0]
