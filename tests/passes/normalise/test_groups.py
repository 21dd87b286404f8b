"""GroupNormalization of both meanings becomes what older opsets write."""

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from hydrafy.passes import base, normalise
from hydrafy.passes.normalise.groups import SpellGroups
from hydrafy.passes.normalise.shapes import InferShapes
from hydrafy.runtime.read import read
from tests.passes.sources import compute, model, ops, program, weight

FORM = ["Shape", "Reshape", "InstanceNormalization", "Reshape", "Mul", "Add"]


@pytest.mark.parametrize(("opset", "size"), [(18, 2), (21, 6)])
def test_scales_of_groups_and_of_channels(opset: int, size: int) -> None:
    """Opset 18 scales each of 2 groups, opset 21 each of 6 channels."""
    scale, bias = weight(size), weight(size, seed=1)
    made = program(
        "g (float[N,6,4,4] x) => (float[N,6,4,4] y) "
        "{ y = GroupNormalization <num_groups = 2, epsilon = 0.001> (x, s, b) }",
        opset=opset,
        s=scale,
        b=bias,
    )
    x = weight(3, 6, 4, 4, seed=2)
    rows = x.reshape(3, 2, -1)
    alike = (rows - rows.mean(2, keepdims=True)) / np.sqrt(rows.var(2, keepdims=True) + 0.001)
    each = (np.repeat(a, 6 // size).reshape(-1, 1, 1) for a in (scale, bias))
    wanted = alike.reshape(x.shape) * next(each) + next(each)
    InferShapes().apply(made)
    assert SpellGroups().apply(made) == ["1 GroupNormalization nodes were spelled out"]
    assert ops(made) == FORM
    assert {made.weight(name).shape for name in "sb"} == {(6, 1, 1)}
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, rtol=1e-4, atol=1e-5)
    base.run(made, normalise.pipeline())
    assert ops(made)[:3] == FORM[1:4]
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opset", [18, 19, 20])
def test_files_with_scales_of_groups_are_read(opset: int) -> None:
    """ONNX's checker refuses them, for what they mean; not the runtimes, nor exporters."""
    source = model(
        """
        g (float[N,3,4,4] x) => (float[N,6,4,4] y) {
          c = Conv <kernel_shape = [1, 1]> (x, w)
          y = GroupNormalization <num_groups = 2> (c, s, b)
        }""",
        opset=opset,
        w=weight(6, 3, 1, 1),
        s=weight(2, seed=1),
        b=weight(2, seed=2),
    )
    x = weight(2, 3, 4, 4, seed=3)
    wanted = ReferenceEvaluator(source).run(None, {"x": x})[0]
    found = read(source)
    assert ops(found) == ["Conv", *FORM[1:]]
    np.testing.assert_allclose(compute(found, {"x": x})[0], wanted, rtol=1e-4, atol=1e-5)


def test_a_computed_scale_is_left_alone() -> None:
    made = program(
        """
        g (float[N,6,4,4] x) => (float[N,6,4,4] y) {
          e = Sigmoid (o)
          y = GroupNormalization <num_groups = 2> (x, e, b)
        }""",
        opset=21,
        o=weight(6),
        b=weight(6),
    )
    assert SpellGroups().apply(made) == []


@pytest.mark.parametrize(
    ("groups", "size", "shape"),
    [(0, 6, "N,6,4,4"), (4, 6, "N,6,4,4"), (2, 5, "N,6,4,4"), (2, 1, "N,6,4,4"), (2, 6, "N")],
)
def test_groups_that_do_not_fit_are_left(groups: int, size: int, shape: str) -> None:
    made = program(
        f"g (float[{shape}] x) => (float[{shape}] y) "
        f"{{ y = GroupNormalization <num_groups = {groups}> (x, s, b) }}",
        opset=21,
        s=weight(size),
        b=weight(size),
    )
    assert SpellGroups().apply(made) == []
    assert ops(made) == ["GroupNormalization"]
