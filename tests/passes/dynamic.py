"""Small dynamic networks for tests: of which parts run inside of others, and which concatenate."""

import numpy as np
import onnx_ir as ir

from hydrafy.ir.manifest import Manifest, Output
from hydrafy.ir.program import Program
from tests.train.programs import Sketch

_RNG = np.random.default_rng(0)
IMAGES = (_RNG.standard_normal((40, 3, 8, 8)) + 4 * _RNG.standard_normal((40, 3, 1, 1))).astype(
    np.float32
)


def gate(s: Sketch, x: ir.Value, name: str) -> ir.Value:
    """The first of two choices, of which one is made: bool [N]."""
    logits = s.linear(s.pooled(x, f"{name}.in"), f"{name}.fc", 2)
    scores = s.op("Softmax", [logits], f"{name}.scores")
    tau = s.weight(f"{name}.tau", np.zeros((1, 1), np.float32))
    chosen = s.op("TopKGate", [scores, tau], name, k=1)
    return s.op("Gather", [chosen, s.weight(f"{name}.0", np.array(0))], f"{name}.on", axis=1)


def nested() -> Program:
    """`outer ? (inner ? f(g) : g) : stem`, 3 classes; nothing but the scores is an output."""
    s = Sketch()
    stem = s.conv(s.x, "stem", 8, 3)
    outer = gate(s, stem, "outer")
    g = s.conv(stem, "g", 8, 3)
    inner = s.op("Select", [gate(s, g, "inner"), s.conv(g, "f", 8, 3), g], "inner.select")
    y = s.op("Select", [outer, inner, stem], "outer.select")
    head = s.linear(s.pooled(y, "head"), "head.fc", 3)
    return s.program(head, manifest=_manifest())


def layers() -> Program:
    """A residual block and a dense layer that samples may skip; decisions are outputs."""
    s = Sketch()
    nothing = s.weight("nothing", np.array(0, np.float32))
    stem = s.op("Relu", [s.conv(s.x, "stem", 8, 3)], "stem.relu")
    first, second = gate(s, stem, "first"), gate(s, stem, "second")
    added = s.op("Select", [first, s.conv(stem, "f", 8, 3), nothing], "first.select")
    block = s.op("Relu", [s.op("Add", [stem, added], "join")], "join.relu")
    grown = s.op("Select", [second, s.conv(block, "h", 4, 3), nothing], "second.select")
    dense = s.op("Concat", [block, grown], "dense", axis=1)
    twice = s.op("Add", [dense, dense], "twice")
    head = s.linear(s.pooled(twice, "head"), "head.fc", 3)
    chosen = [n.outputs[0] for n in s.graph if n.op_type == "TopKGate"]
    return s.program(head, *chosen, manifest=_manifest("first", "second"))


def _manifest(*decisions: str) -> Manifest:
    outputs = (Output("head.fc", "prediction"), *(Output(d, "decision") for d in decisions))
    return Manifest(stage="dynamic", outputs=outputs)
