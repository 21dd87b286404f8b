import torch

from hydrafy.ir.manifest import Manifest
from hydrafy.train.converters.last_phase import switch
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


def test_before_the_last_phase_are_zeros() -> None:
    s = Sketch(("N", 4))
    module = agree(s.program(s.op("LastPhase", [s.x], "late"), manifest=Manifest(stage="dynamic")))
    x = torch.tensor([[1.0, -2.0, torch.inf, torch.nan]])
    switch(module, on=False)
    assert torch.equal(module(x)["late"], torch.zeros(1, 4))
    switch(module, on=True)
    assert torch.equal(module(x)["late"].isnan(), x.isnan())
