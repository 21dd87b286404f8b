"""The text of a program is what golden tests compare: here is one, in full."""

import numpy as np

from hydrafy.ir.manifest import Manifest
from hydrafy.ir.text import text
from tests.train.programs import Sketch, single

GOLDEN = """\
in  x:float[N,2], tau:float[]
let tau:float[] = 0.5
let w:float[2,9]
let zero:float[] = 0.0
let column:int64[] = 1
y:float[N,9] = Gemm(x, w) <alpha=0.5, transB=0>
picked:bool[N,9] = hydrafy.TopKGate(y, tau) <k=1>
pred:bool[N] = Gather(picked, column) <axis=1>
out:float[N,9] = hydrafy.Select(pred, y, zero)
out out, picked
"""


def test_golden() -> None:
    s = Sketch(("N", 2))
    tau = s.weight("tau", np.array(0.5, np.float32), overridable=True)
    y = s.op("Gemm", [s.x, s.random("w", 2, 9)], "y", alpha=0.5, transB=0)
    zero = s.weight("zero", np.array(0, np.float32))
    picked = s.op("TopKGate", [y, tau], "picked", k=1)
    pred = s.op("Gather", [picked, s.weight("column", np.array(1))], "pred", axis=1)
    out = s.op("Select", [pred, y, zero], "out")
    assert text(s.program(out, picked, manifest=Manifest(stage="dynamic"))) == GOLDEN


def test_an_absent_input_keeps_its_place() -> None:
    program = single("Clip", (2,), None, np.array(6, np.float32))
    assert "y:float[N,2] = Clip(x, , c1)\n" in text(program)
