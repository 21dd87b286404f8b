"""Two logits become their difference: one linear layer, half as wide, with the same results."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.cut import Cut
from hydrafy.passes.gumbel import Dependent, Gate, Independent
from hydrafy.passes.lower.batchnorm import FoldBatchNorm
from hydrafy.passes.lower.differences import FoldDifferences

Source = Callable[..., Program]


def odds(program: Program, name: str) -> np.ndarray:
    images = np.random.default_rng(0).standard_normal((5, 3, 16, 16)).astype(np.float32)
    probe = base.run(program.clone(), [Cut((), (name,))])
    return Session(probe).run({"input": images})[name]


@pytest.mark.parametrize("per_stage", [False, True])
@pytest.mark.parametrize("kind", [Dependent, Independent])
def test_log_odds_come_of_one_layer(source: Source, kind: type[Gate], per_stage: bool) -> None:
    gate = kind(bias=(0.1, 2.0))
    gated = base.run(source("resnet20"), [InsertBypass(per_stage=per_stage, gate=gate)])
    name = "gates.stage2.odds"
    wanted = odds(gated, name)
    lean = base.run(gated.clone(), [FoldBatchNorm(), FoldDifferences()])
    np.testing.assert_allclose(odds(lean, name), wanted, rtol=1e-5, atol=1e-5)
    made = lean.values()[name].producer()
    assert made is not None and made.op_type == ("Gemm" if kind is Dependent else "EachRow")
    own = re.compile(r"gates\.stage2\.[a-z]")  # and not of gates.stage2.2
    ops = [node.op_type for node in lean.graph if own.match(node.name or "")]
    assert "BatchNormalization" not in ops and ops.count("Sub") == 0
    assert ops.count("Gemm") == (2 if kind is Dependent else 0)


def test_a_layer_that_is_read_otherwise_stays(source: Source) -> None:
    gated = base.run(source("resnet20"), [InsertBypass(("stage1.2",))])
    gated.graph.outputs.append(gated.values()["gates.stage1.2.logits"])
    wanted = odds(gated, "gates.stage1.2.logits")
    lean = base.run(gated, [FoldDifferences()])
    np.testing.assert_array_equal(odds(lean, "gates.stage1.2.logits"), wanted)
