import torch

from hydrafy.ir.manifest import Manifest
from tests.train.programs import Sketch, agree


def test_both_are_the_identity_and_change_the_gradient() -> None:
    s = Sketch(("N", 4))
    scaled = s.op("GradScale", [s.x], "scaled", scale=0.25)
    stopped = s.op("StopGradient", [s.x], "stopped")
    module = agree(s.program(scaled, stopped, manifest=Manifest(stage="dynamic")))
    x = torch.tensor([[1.0, -2.0, torch.inf, 1e-30]], requires_grad=True)
    outputs = module(x)
    assert torch.equal(outputs["scaled"], x) and torch.equal(outputs["stopped"], x)
    assert not outputs["stopped"].requires_grad
    outputs["scaled"].sum().backward()
    assert torch.equal(x.grad, torch.full((1, 4), 0.25))
