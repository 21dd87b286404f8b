"""Which nodes treat each sample by itself: a table, checked against what onnxruntime computes."""

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.rows import is_batched, mixes_rows
from hydrafy.execute.session import Session
from hydrafy.ir import ops
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from tests.train.programs import Sketch

S = (4, 6, 6)


def i(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def f(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


ROW_WISE = [
    ("Relu", S, [], {}),
    ("Conv", S, [f(5, 4, 3, 3)], {}),
    ("BatchNormalization", S, [f(4), f(4), f(4), abs(f(4))], {}),
    ("MaxPool", S, [], {"kernel_shape": [2, 2]}),
    ("GlobalAveragePool", S, [], {}),
    ("Add", S, [f(4, 1, 1)], {}),
    ("Less", S, [f(4, 1, 1)], {}),
    ("GreaterOrEqual", (4,), [f(1, 4)], {}),
    ("Mul", S, [f(1)], {}),
    ("Gemm", (4,), [f(4, 3)], {}),
    ("MatMul", (4,), [f(4, 3)], {}),
    ("Softmax", (4,), [], {"axis": -1}),
    ("Softmax", (4,), [], {}),
    ("Flatten", S, [], {"axis": 1}),
    ("Flatten", S, [], {}),
    ("Gather", S, [i(2, 0)], {"axis": 1}),
    ("Gather", S, [i(2, 0)], {"axis": -1}),
    ("Reshape", S, [i(0, 24, 6)], {}),
    ("Slice", S, [i(1), i(3), i(2)], {}),
    ("Slice", S, [i(1), i(3), i(-1)], {}),
    ("ReduceMean", S, [i(2, 3)], {}),
    ("ReduceMean", S, [i(-1, -2)], {"keepdims": 0}),
    ("Pad", S, [i(0, 2, 1, 1, 0, 2, 1, 1)], {}),
    ("Pad", S, [i(2, 1, 2, 1), np.float32(0), i(-1, 2)], {}),
    ("ReduceMax", S, [i(1)], {}),
    ("ReduceSum", S, [i(-1)], {}),
    ("GlobalMaxPool", S, [], {}),
    ("InstanceNormalization", S, [f(4), f(4)], {}),
    ("LayerNormalization", S, [f(6, 6)], {"axis": 2}),
    ("LRN", S, [], {"size": 3}),
    ("LogSoftmax", (4,), [], {}),
    ("PRelu", S, [f(4, 1, 1)], {}),
    ("Pow", S, [np.float32(2)], {}),
    ("Erf", S, [], {}),
    ("Transpose", S, [], {"perm": [0, 2, 3, 1]}),
    ("Squeeze", (4, 1, 1), [i(2, 3)], {}),
    ("Squeeze", (4, 1, 1), [i(-1)], {}),
    ("Unsqueeze", (4,), [i(2, 3)], {}),
    ("Unsqueeze", (4,), [i(-1)], {}),
    ("Flatten", (4,), [], {"axis": -1}),
    ("Mul", S, [f(1, 4, 1, 1)], {}),
    ("Add", (4, 3), [f(2, 3)[:1]], {}),
    ("Gemm", (4,), [f(4, 3), f(3)], {}),
    ("Gemm", (4,), [f(4, 3), f(1, 3)], {}),
    ("MatMul", (4, 3), [f(3, 5)], {}),
    ("MatMul", (4, 3), [f(5, 4)[:, :3].T], {}),
    ("MatMul", (4, 3), [f(1, 3, 5)], {}),
    ("MatMul", (4,), [f(4)], {}),
    ("ReduceMean", S, [], {"noop_with_empty_axes": 1}),
    ("Slice", S, [i(0, 1), i(2**31 - 1, 3), i(0, 2)], {}),
    ("Slice", S, [i(0, 1), i(2**63 - 1, 3)], {}),
    ("Transpose", (), [], {}),
]
MIXING = [
    ("Softmax", (4,), [], {"axis": 0}, "batch axis"),
    ("Softmax", (4,), [], {"axis": -2}, "batch axis"),
    ("Flatten", S, [], {"axis": 0}, "between rows"),
    ("Gather", S, [i(0)], {}, "batch axis"),
    ("Gather", S, [i(0)], {"axis": -4}, "batch axis"),
    ("Reshape", (4, 2), [i(-1, 4)], {}, "between rows"),
    ("Slice", S, [i(1), i(3), i(0)], {}, "batch axis"),
    ("Slice", S, [i(1), i(3), i(-4)], {}, "batch axis"),
    ("Slice", S, [i(1), i(3)], {}, "batch axis"),
    ("Slice", S, [i(0), i(3)], {}, "batch axis"),
    ("Slice", S, [i(0), i(2**31 - 1), i(0), i(2)], {}, "batch axis"),
    ("ReduceMean", S, [i(0, 1)], {}, "batch axis"),
    ("ReduceMean", S, [i(-4)], {}, "batch axis"),
    ("ReduceMean", S, [], {}, "along all axes"),
    ("ReduceMean", S, [i()], {}, "along all axes"),
    ("Pad", S, [i(1, 0, 0, 0, 0, 0, 0, 0)], {}, "pads the batch"),
    ("Pad", S, [i(0, 0, 0, 0, 1, 0, 0, 0)], {}, "pads the batch"),
    ("Pad", S, [i(0, 0, 0, 1), np.float32(0), i(2, -4)], {}, "pads the batch"),
    ("MatMul", (4, 4), [f(4, 4)], {}, None),
    ("Transpose", (4,), [], {"perm": [1, 0]}, "moves the batch axis"),
    ("Transpose", (4, 3), [], {}, "moves the batch axis"),
    ("Unsqueeze", (4,), [i(0)], {}, "batch axis"),
    ("Unsqueeze", (4,), [i(-3)], {}, "batch axis"),
    ("Squeeze", (4, 1), [], {}, "along all axes"),
    ("ReduceMax", S, [i(0)], {}, "batch axis"),
    ("LayerNormalization", (4,), [f(4)], {"axis": 0}, "batch axis"),
    ("Flatten", S, [], {"axis": 2}, "between rows"),
    ("Flatten", S, [], {"axis": 4}, "between rows"),
    ("Flatten", S, [], {"axis": -1}, "between rows"),
    ("Mul", S, [f(2, 4, 1, 1)], {}, "'c0' has a fixed number of rows"),
    ("Greater", (4,), [f(2, 4)], {}, "'c0' has a fixed number of rows"),
    ("Add", (4,), [f(1, 1, 4)], {}, "'x' is broadcast across the batch"),
    ("Concat", S, [f(1, 2, 6, 6)], {"axis": 1}, "'c0' has a fixed number of rows"),
    ("Reshape", S, [i(2, 4, 36)], {}, "fixed number of rows"),
    ("Gemm", (4,), [f(4, 3), f(2, 3)], {}, "'c1' has a fixed number of rows"),
    ("MatMul", (4, 3), [f(2, 3, 5)], {}, "'c0' has a fixed number of rows"),
    ("MatMul", (4,), [f(2, 4, 5)], {}, "'x' is broadcast across the batch"),
    ("MatMul", (), [f(5, 4)], {}, "multiplies rows"),
]


def node(
    kind: str, shape: tuple[int, ...], rest: list[np.ndarray], **attributes: object
) -> Program:
    s = Sketch(("N", *shape))
    constants = [s.weight(f"c{n}", a) for n, a in enumerate(rest)]
    y = s.op(kind, [s.x, *constants], "y", **attributes)
    s.graph.outputs.append(y)
    return Program(ir.Model(s.graph, ir_version=10), Manifest())


@pytest.mark.parametrize(("kind", "shape", "rest", "attributes"), ROW_WISE, ids=str)
def test_row_wise_nodes(
    kind: str, shape: tuple[int, ...], rest: list[np.ndarray], attributes: dict[str, object]
) -> None:
    program = node(kind, shape, rest, **attributes)
    assert mixes_rows(program.graph[0]) is None
    session, x = Session(program), f(3, *shape)
    whole = session.run({"x": x})["y"]
    alone = [session.run({"x": x[n : n + 1]})["y"] for n in range(3)]
    np.testing.assert_allclose(whole, np.concatenate(alone), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kind", "shape", "rest", "attributes", "why"), MIXING, ids=str)
def test_nodes_that_mix_rows(
    kind: str,
    shape: tuple[int, ...],
    rest: list[np.ndarray],
    attributes: dict[str, object],
    why: str | None,
) -> None:
    found = mixes_rows(node(kind, shape, rest, **attributes).graph[0])
    assert found is None if why is None else why in (found or "")


def two(kind: str, first: list[object], second: list[object], **attributes: object) -> ir.Node:
    s = Sketch(first)
    other = ir.val("other", ir.DataType.FLOAT, second)
    s.graph.inputs.append(other)
    return s.op(kind, [s.x, other], "y", **attributes).producer()


@pytest.mark.parametrize(
    ("kind", "first", "second", "attributes", "why"),
    [
        ("Add", ["N", 4], ["N", 4], {}, None),
        ("Add", ["N", 4, 4], ["N", 4], {}, "'other' is broadcast across the batch"),
        ("LessOrEqual", ["N", 1], ["N"], {}, "'other' is broadcast across the batch"),
        ("LessOrEqual", ["N"], [], {}, None),
        ("Concat", ["N", 4], ["N", 3], {"axis": 1}, None),
        ("Concat", ["N", 4], ["N", 4], {"axis": 0}, "batch axis"),
        ("Gemm", ["N", 4], ["M", 4], {"transB": 1}, "multiplies rows"),
        ("Gemm", ["N", 4], [4, 4], {"transA": 1}, "multiplies rows"),
        ("MatMul", ["N", 4], ["M", 4], {}, "multiplies rows"),
        ("MatMul", ["N", 2, 4], ["N", 4, 3], {}, None),
        ("MatMul", [2, 4], ["N", 4, 3], {}, None),
        ("MatMul", [2, 4], ["N", 3], {}, "multiplies rows"),
        ("MatMul", ["N", 4, 2, 4], ["N", 4, 3], {}, "'other' is broadcast across the batch"),
        ("Gemm", [2, 4], ["N", 3], {}, "multiplies rows"),
        ("Conv", ["N", 4, 5, 5], ["M", 4, 1, 1], {}, "weight 'other' is computed"),
    ],
)
def test_nodes_of_two_values(
    kind: str,
    first: list[object],
    second: list[object],
    attributes: dict[str, object],
    why: str | None,
) -> None:
    found = mixes_rows(two(kind, first, second, **attributes))
    assert found is None if why is None else why in (found or "")


def test_a_computed_bias_is_a_row_for_each_sample_or_is_broadcast() -> None:
    s = Sketch(("N", 4))
    rows = s.op("Gemm", [s.x, s.random("w", 4, 4), s.x], "y")
    assert mixes_rows(rows.producer()) is None
    total = ir.val("total", ir.DataType.FLOAT, ["N"])
    mixed = s.op("Gemm", [s.x, s.random("v", 4, 4), total], "z")
    assert mixes_rows(mixed.producer()) == "'total' is broadcast across the batch"


def test_each_standard_op_has_a_rule() -> None:
    x = ir.val("x", ir.DataType.FLOAT, ["N", *S])
    for kind in ops.STANDARD - {case[0] for case in ROW_WISE}:
        assert mixes_rows(ir.node(kind, [x], {"axis": 1})) is None, kind
    assert mixes_rows(ir.node("Hardmax", [x])) == "Hardmax is not known to be row-wise"


def test_what_is_batched() -> None:
    shapes = {("N", 3): True, (None, 3): True, (1, 3): False, (): False, (5,): False}
    for shape, batched in shapes.items():
        assert is_batched(ir.val("v", ir.DataType.FLOAT, list(shape))) == batched
    assert not is_batched(ir.Value(name="unknown"))
