"""Numbers: equal for what is computed alike, different for all else."""

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.predication.numbers import numbers
from tests.train.programs import Sketch


def equal(s: Sketch, one: ir.Value, two: ir.Value) -> bool:
    found = numbers(s.graph)
    return found[one] == found[two]


def test_the_same_op_on_the_same_inputs_has_one_number() -> None:
    s = Sketch(("N", 4))
    twins = [
        s.op("Less", [s.op("Relu", [s.x], f"r{i}"), s.weight(f"c{i}", np.float32(0.5))], f"y{i}")
        for i in range(2)
    ]
    assert equal(s, *twins)


@pytest.mark.parametrize(
    ("kinds", "bounds", "axes"),
    [
        (("ReduceMax", "ReduceMean"), (0.5, 0.5), (1, 1)),
        (("ReduceMax", "ReduceMax"), (0.5, 0.25), (1, 1)),
        (("ReduceMax", "ReduceMax"), (0.5, 0.5), (1, 2)),
    ],
)
def test_another_op_constant_or_attribute_makes_another_number(
    kinds: tuple[str, str], bounds: tuple[float, float], axes: tuple[int, int]
) -> None:
    s = Sketch(("N", 4, 4))
    values = []
    for i in range(2):
        axis = s.weight(f"axis{i}", np.array([axes[i]]))
        best = s.op(kinds[i], [s.x, axis], f"best{i}", keepdims=1)
        values.append(s.op("Less", [best, s.weight(f"c{i}", np.float32(bounds[i]))], f"y{i}"))
    assert not equal(s, *values)


def test_attributes_count() -> None:
    s = Sketch(("N", 4))
    assert not equal(s, *(s.op("Softmax", [s.x], f"y{axis}", axis=axis) for axis in (0, 1)))
    assert equal(s, *(s.op("Softmax", [s.x], f"z{i}", axis=1) for i in range(2)))


def test_large_constants_and_what_a_caller_gives_are_themselves_alone() -> None:
    s = Sketch(("N", 100))
    large = [s.weight(f"large{i}", np.ones(100, np.float32)) for i in range(2)]
    given = [s.weight(f"tau{i}", np.float32(1), overridable=True) for i in range(2)]
    assert not equal(s, *(s.op("Add", [s.x, v], f"{v.name}.y") for v in large))
    assert not equal(s, *(s.op("Add", [s.x, v], f"{v.name}.y") for v in given))
    assert equal(s, *(s.op("Add", [s.x, large[0]], f"again{i}") for i in range(2)))
