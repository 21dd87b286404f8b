"""Predicates of every kind are led both ways: of rows and of batches, given and computed."""

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.analysis.predication.needed import needed
from hydrafy.errors import VerifyError
from hydrafy.ir import build
from hydrafy.ir.manifest import RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.runtime.verify import verify, verify_lowered
from hydrafy.runtime.verify.compare import BYTES, HALF, TOLERANCE, compare, tolerance
from hydrafy.runtime.verify.decisions import unlike
from tests.passes.predicated import Net, gated, networks, reasoned


def lowered(program: Program) -> Program:
    return base.run(program.clone(), lower.pipeline())


@settings(max_examples=8, deadline=None, derandomize=True)
@given(gated())
def test_what_lowering_makes_of_gated_networks_is_proven(program: Program) -> None:
    found = verify_lowered(program, lowered(program))
    assert found.reached >= 1 and found.decided >= 64


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.one_of(networks(), reasoned()))
def test_what_a_caller_decides_and_what_is_compared_is_led_both_ways(program: Program) -> None:
    assert verify_lowered(program, lowered(program)).reached >= 1


def budget() -> Program:
    """A block runs if a bool for the whole batch says so, which has a default."""
    net = Net()
    deep = build.weight(net.graph, "deep", np.array(True))
    net.graph.inputs.append(deep)
    x = net.conv(net.x)
    program = net.program(net.pooled(net.select(deep, net.conv(x), x)))
    manifest = program.manifest
    entry = RuntimeInput("deep", 0, 1, 1, "whether the block runs")
    program.manifest = type(manifest)(
        stage=manifest.stage, outputs=manifest.outputs, runtime_inputs=(entry,)
    )
    return program


def test_a_run_time_bool_is_a_predicate_that_is_led_both_ways() -> None:
    program = budget()
    low = lowered(program)
    assert verify(program, low).reached == 1
    branch = next(n for n in low.graph if n.op_type == "If")
    sides = [branch.attributes[k].as_graph() for k in ("then_branch", "else_branch")]
    for name, graph in zip(("else_branch", "then_branch"), sides, strict=True):
        branch.attributes[name] = ir.AttrGraph(name, graph)
    with pytest.raises(VerifyError, match="differs by"):
        verify_lowered(program, low)


def test_what_is_needed_follows_the_sides_that_are_taken() -> None:
    net = Net(decisions=2)
    a, b = net.conv(net.x), net.conv(net.x)
    inner = net.select(net.pred(1), a, b)
    outer = net.select(net.pred(0), net.conv(inner), net.x)
    program = net.program(net.pooled(outer))
    flags = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], bool)
    names = [n.inputs[0].name for n in program.graph if n.op_type == "Select"]
    held = {names[1]: flags[:, 0], names[0]: flags[:, 1]}
    found = needed(program, held, 4)
    assert found[a].tolist() == [True, False, False, False]
    assert found[b].tolist() == [False, True, False, False]
    assert found[inner].tolist() == [True, True, False, False]
    assert found[net.x].all()


def test_a_decision_may_be_missing_only_where_nothing_needs_it() -> None:
    wanted = np.array([[True], [True], [False], [False]])
    found = np.array([[False], [False], [True], [False]])
    need = np.array([True, False, False, False])
    assert unlike(wanted, found, need).tolist() == [True, False, False, False]
    assert unlike(wanted, found, ~need).tolist() == [False, True, True, False]
    assert not unlike(wanted, found, None).any()


def test_tolerance_is_that_of_the_numbers() -> None:
    net = Net()
    program = net.program(net.pooled(net.conv(net.x)))
    assert tolerance(program) == TOLERANCE
    half = net.op("Cast", net.op("Cast", net.x, to=int(ir.DataType.FLOAT16)), to=1)
    assert tolerance(net.program(half)) == HALF
    steps = net.const(np.float32(0.1)), net.const(np.uint8(0))
    back = net.op("DequantizeLinear", net.op("QuantizeLinear", net.x, *steps), *steps)
    assert tolerance(program, net.program(back)) == BYTES


def test_nan_and_shapes_are_differences() -> None:
    ones = {"y": np.ones((2, 3), np.float32)}
    assert compare(ones, ones, TOLERANCE) == (0.0, None)
    for other in (np.full((2, 3), np.nan, np.float32), np.ones((2, 4), np.float32)):
        difference = compare(ones, {"y": other}, TOLERANCE)[1]
        assert difference is not None and difference.output == "y"
