"""The bodies of the ops, run by onnxruntime, against a plain reading of their meaning in numpy."""

import numpy as np
import onnx.defs
import onnx_ir as ir
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hydrafy.execute.session import Session
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program

BOOL, FLOAT = ir.DataType.BOOL, ir.DataType.FLOAT


def session(op: str, inputs: list[ir.Value], **attributes: object) -> Session:
    node = build.op(op, inputs, "y", domain=ops.DOMAIN, **attributes)
    graph = ir.Graph(
        inputs, list(node.outputs), nodes=[node], name="one", opset_imports={"": ops.OPSET}
    )
    return Session(Program(ir.Model(graph, ir_version=10), Manifest(stage="dynamic")), threads=1)


def select(rank: int, *, each: bool, scalar: bool) -> Session:
    row = ["C", "H", "W"][: rank - 1]
    pred = ir.val("pred", BOOL, ["N"] if each else [])
    a = ir.val("a", FLOAT, ["N", *row])
    return session("Select", [pred, a, ir.val("b", FLOAT, [] if scalar else ["N", *row])])


SELECTS = {
    (rank, each, scalar): select(rank, each=each, scalar=scalar)
    for rank in (1, 2, 3, 4)
    for each in (False, True)
    for scalar in (False, True)
}


@pytest.mark.parametrize("rows", [0, 1, 4])
@pytest.mark.parametrize("key", SELECTS, ids=str)
def test_select_takes_rows_and_looks_at_nothing_else(
    key: tuple[int, bool, bool], rows: int
) -> None:
    rank, each, scalar = key
    rng = np.random.default_rng(rows)
    for everything in (True, False):
        pred = rng.random(rows) < 0.5 if each else np.array(everything)
        a = rng.standard_normal((rows, 3, 2, 5)[:rank]).astype(np.float32)
        b = np.float32(7) if scalar else -a
        picked = pred if each else np.full(rows, everything)
        wanted = (
            np.stack([a[i] if picked[i] else np.broadcast_to(b, a.shape)[i] for i in range(rows)])
            if rows
            else a
        )
        a[~picked] = np.nan  # an unselected row may be anything
        if not scalar:
            b[picked] = np.nan
        found = SELECTS[key].run({"pred": pred, "a": a, "b": np.asarray(b)})["y"]
        np.testing.assert_array_equal(found, wanted, strict=True)


def top_k(scores: np.ndarray, tau: np.ndarray, k: int) -> np.ndarray:
    """A branch is picked if it is among the best k (ties: the lower index) and reaches tau."""
    picked = np.zeros(scores.shape, bool)
    limit = np.broadcast_to(tau, scores.shape)
    for n, row in enumerate(scores):
        order = sorted(range(len(row)), key=lambda i: (-row[i], i))
        for place, i in enumerate(order[:k]):
            picked[n, i] = place == 0 or row[i] >= limit[n, i]
    return picked


def gate(k: int) -> Session:
    tau = ir.val("tau", FLOAT, None)
    return session("TopKGate", [ir.val("scores", FLOAT, ["N", "G"]), tau], k=k)


GATES = {k: gate(k) for k in (1, 2, 3, 5)}
LEVELS = st.sampled_from([np.float32(v) for v in (0.0, 0.1, 0.25, 0.3, 0.5, 1.0)])  # many ties


@st.composite
def questions(draw: st.DrawFn) -> tuple[int, np.ndarray, np.ndarray]:
    rows = draw(st.integers(0, 5))
    k = draw(st.sampled_from(sorted(GATES)))
    branches = draw(st.integers(k, 6))
    shape = draw(st.sampled_from([(), (1, 1), (rows, 1), (1, branches), (rows, branches)]))
    scores = draw(hnp.arrays(np.float32, (rows, branches), elements=LEVELS))
    return k, scores, draw(hnp.arrays(np.float32, shape, elements=LEVELS | st.just(np.float32(-1))))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(questions())
@example((2, np.full((2, 3), 0.5, np.float32), np.array(0.5, np.float32)))
@example((3, np.zeros((1, 5), np.float32), np.ones((1, 5), np.float32)))
def test_the_gate_picks_the_best_k_over_tau(question: tuple[int, np.ndarray, np.ndarray]) -> None:
    k, scores, tau = question
    found = GATES[k].run({"scores": scores, "tau": tau})["y"]
    np.testing.assert_array_equal(found, top_k(scores, tau, k), strict=True)


def test_the_gate_decides_between_neighbouring_floats() -> None:
    tau = np.float32(0.08)
    just_below = np.nextafter(tau, np.float32(0))
    scores = np.array([[0.8, tau, just_below]], np.float32)
    found = GATES[3].run({"scores": scores, "tau": np.array(tau)})["y"]
    assert found.tolist() == [[True, True, False]]


@pytest.mark.parametrize("op", sorted(ops.MARKERS))
def test_markers_of_training_are_identities(op: str) -> None:
    given = {"scale": 0.25} if op == "GradScale" else {}
    x = np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)
    found = session(op, [ir.val("x", FLOAT, ["N", 2])], **given).run({"x": x})["y"]
    np.testing.assert_array_equal(found, x, strict=True)


def test_every_standard_op_is_of_one_kind_and_known_to_the_least_opset() -> None:
    images = (ops.WINDOWS, ops.GLOBAL, ops.NORMS)
    kinds = (ops.EACH, ops.BOTH, ops.COMPARISONS, ops.LOGIC, *images, ops.VIEWS, ops.OTHERS)
    assert sum(map(len, kinds)) == len(ops.STANDARD)
    assert all(onnx.defs.get_schema(name, ops.OPSET) for name in ops.STANDARD)


@pytest.mark.parametrize("name", sorted(ops.EACH))
def test_ops_of_each_number_commute_with_a_change_of_order(name: str) -> None:
    x = ir.val("x", FLOAT, ["N"])
    attributes = {"to": 1} if name == "Cast" else {}
    node = build.op(name, [x], "y", **attributes)
    graph = ir.Graph([x], list(node.outputs), nodes=[node], name="g", opset_imports={"": ops.OPSET})
    made = Session(Program(ir.Model(graph, ir_version=10), Manifest(stage="source")), threads=1)
    values = np.random.default_rng(0).uniform(0, 3, 40).astype(np.float32)
    (wanted,) = made.run({"x": values}).values()
    (turned,) = made.run({"x": values[::-1].copy()}).values()
    np.testing.assert_allclose(turned[::-1], wanted, rtol=1e-6)
