import numpy as np
import torch

from hydrafy.train.gates.threshold import ThresholdGate
from tests.train.programs import Sketch, agree


def test_a_score_at_the_threshold_opens_the_gate() -> None:
    scores = torch.tensor([[0.2, 0.5, 0.7]])
    for mode in (True, False):
        gate = ThresholdGate().train(mode)
        assert gate(scores, torch.tensor([[0.5]])).tolist() == [[False, True, True]]
        assert gate(scores.bfloat16(), torch.tensor([[0.5]])).tolist() == [[False, True, True]]


def test_it_decides_as_onnxruntime_does() -> None:
    s = Sketch(("N", 5))
    tau = s.weight("tau", np.full((1, 1), 0.3, np.float32), overridable=True)
    open_ = s.op("ThresholdGate", [s.x, tau], "open")
    agree(s.program(open_, checked=False))
