import numpy as np
import pytest
import torch
from torch import nn

from hydrafy.execute.session import Session
from hydrafy.train.importer import to_torch
from tests.train.programs import Sketch, agree, single


def matrix(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("attributes", [{}, {"alpha": 0.5, "beta": 2.0}])
@pytest.mark.parametrize("bias", [None, matrix(3), matrix(1, 3), matrix(1), np.float32(0.5)])
def test_gemm_agrees_with_onnxruntime(attributes: dict, bias: np.ndarray | None) -> None:
    rest = [] if bias is None else [np.asarray(bias)]
    agree(single("Gemm", (4,), matrix(4, 3), *rest, **attributes))
    agree(single("Gemm", (4,), matrix(3, 4), *rest, transB=1, **attributes))


def test_gemm_with_its_first_operand_transposed() -> None:
    s = Sketch((4, "M"))
    program = s.program(s.op("Gemm", [s.x, s.random("w", 4, 3)], "y", transA=1), checked=False)
    x = matrix(4, 5)
    have = to_torch(program).eval()(torch.from_numpy(x))["y"].detach().numpy()
    np.testing.assert_allclose(have, Session(program).run({"x": x})["y"], rtol=1e-5)


def test_a_gemm_that_owns_its_weights_is_a_layer() -> None:
    s = Sketch(("N", 4))
    module = agree(s.program(s.linear(s.x, "head.fc", 3)))
    assert isinstance(module.get_submodule("head.fc"), nn.Linear)
    assert [n for n, _ in module.named_parameters()] == ["head.fc.weight", "head.fc.bias"]


@pytest.mark.parametrize("attributes", [{"transB": 0}, {"transB": 1, "alpha": 0.5}])
def test_a_gemm_that_is_no_plain_linear_keeps_its_parameters_names(attributes: dict) -> None:
    s = Sketch(("N", 4))
    weights = [s.random("fc.weight", 4, 4), s.random("fc.bias", 4)]
    module = agree(s.program(s.op("Gemm", [s.x, *weights], "fc", **attributes)))
    assert not any(isinstance(m, nn.Linear) for m in module.modules())
    assert {n for n, _ in module.named_parameters()} == {"fc.weight", "fc.bias"}


def test_matmul_agrees_with_onnxruntime() -> None:
    agree(single("MatMul", (4,), matrix(4, 3)))
    # onnxruntime refuses to broadcast over no row
    agree(single("MatMul", (2, 5, 4), matrix(1, 2, 4, 3)), sizes=(1, 5))
