import numpy as np
import onnx_ir as ir
import pytest
import torch

from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from hydrafy.train.converters.select import blend, select
from hydrafy.train.importer import to_torch
from tests.train.programs import Sketch


def selecting(shape: tuple[int, ...], scalar: bool, **attributes: str) -> Program:
    """x and a run-time predicate; b is minus x, or 0."""
    s = Sketch(("N", *shape))
    pred = s.weight("pred", np.zeros(1, bool), overridable=True)
    pred.shape = ir.Shape(["rows"])
    b = s.weight("zero", np.array(0, np.float32))
    if not scalar:
        b = s.op("Mul", [s.x, s.weight("minus", np.array(-1, np.float32))], "b")
    return s.program(
        s.op("Select", [pred, s.x, b], "y", **attributes), manifest=Manifest(stage="dynamic")
    )


@pytest.mark.parametrize("shape", [(), (3,), (3, 4, 4)])
@pytest.mark.parametrize("scalar", [True, False])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_select_agrees_with_onnxruntime(shape: tuple, scalar: bool, count: int) -> None:
    program = selecting(shape, scalar)
    module, session = to_torch(program).eval(), Session(program)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, *shape)).astype(np.float32)
    for pred in (rng.random(count) < 0.5, np.array([True]), np.array([False])):
        module.pred = torch.from_numpy(pred)
        have = module(torch.from_numpy(x))["y"].numpy()
        np.testing.assert_array_equal(have, session.run({"x": x, "pred": pred})["y"])


def test_what_is_not_needed_may_be_nan() -> None:
    program = selecting((2,), scalar=False)
    module, session = to_torch(program), Session(program)
    x = np.array([[1, 2], [np.nan, np.nan]], np.float32)
    pred = np.array([True, False])
    module.pred = torch.from_numpy(pred)
    have = module(torch.from_numpy(x))["y"].numpy()
    np.testing.assert_array_equal(have, session.run({"x": x, "pred": pred})["y"])
    zeroed = selecting((2,), scalar=True)
    module = to_torch(zeroed)
    module.pred = torch.from_numpy(pred)
    assert module(torch.from_numpy(x))["y"].tolist() == [[1, 2], [0, 0]]


def test_one_predicate_may_rule_the_whole_batch() -> None:
    a, b = torch.ones(3, 2), torch.zeros(3, 2)
    assert torch.equal(select(torch.tensor(True), a, b), a)
    assert torch.equal(select(torch.tensor(False), a, b), b)


def test_rows_that_are_not_chosen_get_a_gradient_of_exactly_zero() -> None:
    a = torch.full((2, 2), torch.inf, requires_grad=True)
    b = torch.zeros(2, 2, requires_grad=True)
    select(torch.tensor([True, False]), a, b).backward(torch.tensor([[2.0, 3], [torch.nan, 5]]))
    assert a.grad.tolist() == [[2, 3], [0, 0]]
    assert b.grad[0].tolist() == [0, 0]


def test_a_mask_learns_from_what_it_chose_between() -> None:
    """Straight-through: the gradient of a float mask is that of a blend."""
    a, b = torch.randn(2, 3, 4, generator=torch.manual_seed(0))
    mask = torch.tensor([1.0, 0.0, 1.0], requires_grad=True)
    chosen = blend(mask, a, b)
    assert torch.equal(chosen, select(mask.detach() > 0, a, b))
    weights = torch.arange(12.0).reshape(3, 4)
    (weights * chosen).sum().backward()
    assert mask.grad is not None
    torch.testing.assert_close(mask.grad, (weights * (a - b)).sum(1))
    masked = blend(mask, a, 0)
    assert torch.equal(masked, select(mask.detach() > 0, a, 0))


def test_a_decision_of_bools_has_no_gradient_and_needs_one_side_only() -> None:
    a = torch.tensor([[1.0], [float("nan")]])
    assert blend(torch.tensor([True, False]), a, 0).tolist() == [[1.0], [0.0]]
