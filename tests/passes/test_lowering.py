"""Lowering: on random predicated networks the lowered file computes what the dense file does."""

import dataclasses
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import Output
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.passes.lower.row_ifs import is_row_if
from hydrafy.passes.lower.sink import Sink
from hydrafy.runtime.convert import convert
from tests.passes.predicated import CHANNELS, Net, feeds, gated, networks, reasoned, run


def lowered(program: Program, *extra: Pass) -> Program:
    passes = lower.pipeline()
    at = next(i for i, item in enumerate(passes) if isinstance(item, Sink)) + 1
    return base.run(program.clone(), [*passes[:at], *extra, *passes[at:]])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(networks(), st.integers(0, 9), st.booleans())
def test_lowered_is_dense_for_any_batch_and_order(
    program: Program, batch: int, everything: bool
) -> None:
    dense, low = Session(program, threads=1), Session(lowered(program), threads=2)
    given = feeds(batch, seed=batch, everything=everything)
    wanted, found = run(dense, given), run(low, given)
    order = np.random.default_rng(7).permutation(batch)
    shuffled = {k: v[order] if v.ndim else v for k, v in given.items()}
    again = run(low, shuffled)
    for a, b, c in zip(wanted, found, again, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)
        np.testing.assert_allclose(c, a[order], atol=1e-5)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(reasoned(), st.integers(0, 9), st.sampled_from([0.5, 1.0, 2.0, 2.5, 4.0, np.nan]))
def test_lowered_is_dense_where_predicates_say_something_about_each_other(
    program: Program, batch: int, budget: float
) -> None:
    given = feeds(batch, seed=batch, everything=True, budget=budget)
    order = np.random.default_rng(7).permutation(batch)
    shuffled = {k: v[order] if v.ndim else v for k, v in given.items()}
    low = Session(lowered(program), threads=1)
    wanted = run(Session(program, threads=1), given)
    for a, b, c in zip(wanted, run(low, given), run(low, shuffled), strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)
        np.testing.assert_allclose(c, a[order], atol=1e-5)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(gated(), st.integers(0, 9))
def test_lowered_is_dense_where_gates_decide(program: Program, batch: int) -> None:
    """What a gate within a region decides for rows that never reach it, its output tells not."""
    given = feeds(batch, seed=batch, everything=True)
    dense, low = Session(program, threads=1), Session(lowered(program), threads=1)
    np.testing.assert_allclose(run(low, given)[0], run(dense, given)[0], atol=1e-4)


def test_a_sum_of_regions_within_a_region_keeps_its_rows_apart() -> None:
    """Rows of one name must be as many, or onnxruntime reuses memory of the wrong size."""
    net = Net(decisions=4, seed=0)
    x = net.conv(net.x)
    total = net.op("Sum", *(net.select(net.pred(i), net.conv(x), net.zero()) for i in range(3)))
    program = net.program(net.pooled(net.select(net.pred(3), net.conv(total), net.zero())))
    given = feeds(4, seed=0, everything=True)
    given["d"] = np.array([[1, 0, 0, 1], [1, 1, 0, 1], [1, 1, 1, 1], [1, 0, 0, 0]], bool)
    dense, low = Session(program, threads=1), Session(lowered(program), threads=1)
    np.testing.assert_allclose(run(low, given)[0], run(dense, given)[0], atol=1e-5)


@dataclasses.dataclass(frozen=True)
class Poison(Pass):
    """Within each region, rows that it does not need are NaN."""

    name = "poison"

    def apply(self, program: Program) -> list[str]:
        for node in list(program.graph):
            if not is_row_if(node) or node.inputs[0].shape.rank() == 0:
                continue
            for side, attribute in node.attributes.items():
                _poison(attribute.as_graph(), node.inputs[0], side, node.name)
        return []


def _poison(inner: ir.Graph, pred: ir.Value, side: str, name: str) -> None:
    mine = {v for n in inner for v in n.outputs}
    nan = build.weight(inner, f"{name}.{side}.nan", np.array(np.nan, np.float32))
    first = inner[0]
    for value in {v for n in inner for v in n.inputs if v is not None and v not in mine}:
        if value.is_initializer() or value is pred or value.dtype != ir.DataType.FLOAT:
            continue
        stem, ones = f"{name}.{side}.{value.name}", [1] * (value.shape.rank() - 1)
        target = build.weight(inner, f"{stem}.target", np.array([-1, *ones]))
        tall = build.op("Reshape", [pred, target], f"{stem}.tall")
        needed = [tall.outputs[0], value, nan] if side == "a" else [tall.outputs[0], nan, value]
        clean = build.op("Where", needed, f"{stem}.poisoned")
        for node in list(inner):
            for place, used in enumerate(node.inputs):
                if used is value:
                    node.replace_input_with(place, clean.outputs[0])
        inner.insert_before(first, [tall, clean])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.one_of(networks(), reasoned()), st.integers(1, 6))
def test_rows_that_a_region_does_not_need_may_be_anything(program: Program, batch: int) -> None:
    given = feeds(batch, seed=batch, everything=True, budget=batch / 2)
    wanted = run(Session(program, threads=1), given)
    found = run(Session(lowered(program, Poison()), threads=1), given)
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)


def test_poison_in_the_rows_that_a_branch_does_not_need_leaves_dynk_alone(
    source: Callable[..., Program],
) -> None:
    program = convert(source("resnet8"), "dynk", branches=5, k=2, split="stage2")
    images = np.random.default_rng(0).standard_normal((9, 3, 16, 16)).astype(np.float32)
    wanted = Session(program, threads=1).run({"input": images}, ["logits", "picked"])
    found = Session(lowered(program, Poison()), threads=2).run({"input": images})
    assert wanted["picked"].sum(1).min() >= 1 and not wanted["picked"].all()
    np.testing.assert_array_equal(found["picked"], wanted["picked"])
    np.testing.assert_allclose(found["logits"], wanted["logits"], atol=1e-4)


def test_a_gate_in_a_region_takes_a_threshold_for_each_row() -> None:
    """Its threshold is not gathered, so such a gate is computed for all rows, outside."""
    net = Net(decisions=1, seed=2)
    tau = build.weight(net.graph, "tau", np.full((1, 1), 0.3, np.float32))
    tau.shape = ir.Shape(["tau_rows", "tau_gates"])
    net.graph.inputs.append(tau)
    scores = net.op("Softmax", net.op("Flatten", net.op("GlobalAveragePool", net.conv(net.x))))
    node = build.op("TopKGate", [scores, tau], "inner", domain=ops.DOMAIN, k=2)
    net.graph.append(node)
    zero, column = net.const(np.float32(0)), net.const(np.array(1))
    inner = net.op("Gather", node.outputs[0], column, axis=1)
    nested = net.op("Add", net.x, net.select(inner, net.conv(net.x), zero))
    y = net.select(net.pred(0), net.conv(nested), zero)
    program = net.program(net.op("GlobalAveragePool", y))
    given = feeds(5, seed=4, everything=True, decisions=1)
    del given["all"]
    given["tau"] = np.random.default_rng(1).random((5, 1)).astype(np.float32)
    wanted = Session(program).run(given)
    found = Session(lowered(program)).run(given)
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, atol=1e-5)


def test_a_region_that_no_row_needs_does_not_run() -> None:
    """The region gathers a channel that does not exist: running it would be an error."""
    net = Net(decisions=1, seed=0)
    beyond = net.op("Gather", net.conv(net.x), net.const(np.array([99] * CHANNELS)), axis=1)
    y = net.select(net.pred(0), beyond, net.const(np.float32(0)))
    low = Session(lowered(net.program(net.op("GlobalAveragePool", y))))
    given = feeds(3, seed=1, everything=True, decisions=1)
    given["d"][:] = False
    assert not run(low, given)[0].any()
    given["d"][1] = True
    with pytest.raises(ModelError, match="99"):
        run(low, given)


def test_weights_move_into_their_region() -> None:
    net = Net(decisions=1, seed=0)
    y = net.select(net.pred(0), net.conv(net.x), net.const(np.float32(0)))
    low = lowered(net.program(net.op("GlobalAveragePool", y)))
    inner = next(n for n in low.graph if n.op_type == "If").attributes["then_branch"].as_graph()
    assert any(v.shape is not None and v.shape.rank() == 4 for v in inner.initializers.values())


def test_a_node_that_mixes_rows_stays_outside_and_is_named() -> None:
    net = Net(decisions=1, seed=0)
    mean = net.op("ReduceMean", net.conv(net.x), net.const(np.array([0])), keepdims=1)
    joined = net.op("Add", net.conv(net.x), mean)
    y = net.select(net.pred(0), joined, net.const(np.float32(0)))
    program = net.program(net.op("GlobalAveragePool", y))
    low = lowered(program)
    notes = " ".join(note for entry in low.manifest.journal for note in entry.notes)
    assert "reducemean" in notes
    assert "batch axis" in notes
    given = feeds(5, seed=1, everything=True, decisions=1)
    (wanted,), (found,) = run(Session(program), given), run(Session(low), given)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_training_outputs_and_what_fed_them_go() -> None:
    net = Net(decisions=1, seed=0)
    y = net.op("GlobalAveragePool", net.conv(net.x))
    extra = net.op("GlobalAveragePool", net.conv(net.conv(net.x)))
    program = net.program(y, extra)
    roles = (Output(y.name or "", "prediction"), Output(extra.name or "", "training"))
    program.manifest = dataclasses.replace(program.manifest, outputs=roles)
    base.run(program, [DropTraining()])
    assert [v.name for v in program.graph.outputs] == [y.name]
    assert len([n for n in program.graph if n.op_type == "Conv"]) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_many_regions_adding_to_one_row_do_not_race(threads: int) -> None:
    net = Net(decisions=4, seed=3)
    zero = net.const(np.float32(0))
    picked = [net.select(net.pred(i), net.conv(net.x), zero) for i in range(4)]
    program = net.program(net.op("Sum", *picked))
    dense, low = Session(program, threads=1), Session(lowered(program), threads=threads)
    given = feeds(9, seed=5, everything=True)
    given["d"][:] = True
    (wanted,) = run(dense, given)
    for _ in range(20):
        np.testing.assert_allclose(run(low, given)[0], wanted, atol=1e-5)
