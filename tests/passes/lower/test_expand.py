"""Expanding puts a gate's body in its place: plain ONNX, the same decisions."""

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.lower.expand import Expand
from hydrafy.passes.lower.inference import DropTraining
from tests.train.programs import dynamic, images


def expanded(k: int) -> Program:
    program = dynamic(k=k)
    return base.run(program, [DropTraining(), Expand()])


@pytest.mark.parametrize("k", [1, 2, 3])
def test_gates_and_selects_become_standard_ops(k: int) -> None:
    wanted, found = Session(dynamic(k=k)), Session(expanded(k))
    program = expanded(k)
    assert program.stage == "lowered"
    assert {n.domain for n in program.graph} == {""}
    model = program.to_onnx()
    assert not model.functions
    assert [o.domain for o in model.opset_import] == [""]
    for tau in (0.0, 0.3, 1.0):
        feeds = {"x": images(program, 6), "tau": np.full((1, 1), tau, np.float32)}
        a, b = wanted.run(feeds, ["picked", "head.fc"]), found.run(feeds)
        np.testing.assert_array_equal(b["picked"], a["picked"])
        np.testing.assert_allclose(b["head.fc"], a["head.fc"], atol=1e-6)


def test_names_and_outputs_stay() -> None:
    program = expanded(2)
    assert [v.name for v in program.graph.outputs] == ["picked", "head.fc"]
    names = [v.name for n in program.graph for v in n.outputs]
    assert len(set(names)) == len(names)
    assert program.manifest.rates == ()
