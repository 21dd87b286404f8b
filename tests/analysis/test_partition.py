"""Class partitions are even and complete, and keep similar classes together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.analysis.partition import classifier, partition
from hydrafy.errors import ModelError, OptionError
from hydrafy.ir.program import Program
from tests.train.programs import Sketch


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.data(), st.integers(0, 100))
def test_groups_are_even_and_every_class_is_in_one(
    classes: int, data: st.DataObject, seed: int
) -> None:
    branches = data.draw(st.integers(1, classes))
    rows = np.random.default_rng(seed).standard_normal((classes, 5))
    found = partition(rows, branches, seed=seed)
    sizes = [len(group) for group in found]
    assert len(sizes) == branches and max(sizes) - min(sizes) <= 1
    assert sorted(c for group in found for c in group) == list(range(classes))
    assert all(list(group) == sorted(group) for group in found)
    assert partition(rows, branches, seed=seed) == found


def test_similar_rows_land_together() -> None:
    rng = np.random.default_rng(0)
    kinds = rng.permutation(np.repeat(np.arange(4), 5))
    rows = 10 * rng.standard_normal((4, 8))[kinds] + 0.1 * rng.standard_normal((20, 8))
    found = partition(rows.astype(np.float32), 4)
    assert {frozenset(group) for group in found} == {
        frozenset(np.flatnonzero(kinds == kind).tolist()) for kind in range(4)
    }


def test_too_few_classes_are_refused() -> None:
    with pytest.raises(OptionError, match="3 classes, too few for 4 branches: set branches=3"):
        partition(np.eye(3), 4)


def ending(kind: str) -> tuple[Program, np.ndarray]:
    s = Sketch(("N", 5))
    weight = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
    bias = s.random("bias", 7)
    if kind == "transposed":
        y = s.op("Gemm", [s.x, s.weight("w", weight), bias], "y", transB=1)
    elif kind == "plain":
        y = s.op("Gemm", [s.x, s.weight("w", np.ascontiguousarray(weight.T)), bias], "y")
    else:
        y = s.op("MatMul", [s.x, s.weight("w", np.ascontiguousarray(weight.T))], "product")
        y = s.op("Softmax", [s.op("Add", [y, bias], "sum")], "y", axis=-1)
    return s.program(y), weight


@pytest.mark.parametrize("kind", ["transposed", "plain", "softmax"])
def test_rows_of_the_classifier_are_those_of_the_classes(kind: str) -> None:
    program, weight = ending(kind)
    node, rows = classifier(program)
    assert node.op_type in ("Gemm", "MatMul")
    np.testing.assert_array_equal(rows, weight)


def test_a_network_without_classifier_is_refused() -> None:
    s = Sketch(("N", 5, 4, 4))
    pooled = s.op("GlobalAveragePool", [s.conv(s.x, "conv", 10, 1)], "pool")
    program = s.program(s.op("Flatten", [pooled], "logits"))
    with pytest.raises(ModelError, match=r"fully connected layer.*'logits'"):
        classifier(program)
