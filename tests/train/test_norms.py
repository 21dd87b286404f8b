import numpy as np
from torch import fx, nn

from hydrafy.train.importer import to_torch
from hydrafy.train.norms import frozen, norms
from tests.train.programs import Sketch

SLOTS = ("weight", "bias", "running_mean", "running_var")


def module() -> fx.GraphModule:
    """A layer that owns its weights, and one of slices."""
    s = Sketch()
    x = s.batchnorm(s.x, "bn")
    whole = [s.weight(f"wide.{n}", np.ones(5, np.float32)) for n in SLOTS]
    start, end = s.weight("start", np.array([0])), s.weight("end", np.array([3]))
    parts = [s.op("Slice", [w, start, end], f"{w.name}.part") for w in whole]
    return to_torch(s.program(s.op("BatchNormalization", [x, *parts], "sliced")))


def test_both_kinds_are_found() -> None:
    assert list(norms(module())) == ["bn", "sliced"]
    assert list(norms(nn.ModuleDict({"module": module()}))) == ["module.bn", "module.sliced"]


def test_a_layer_is_frozen_if_neither_its_scale_nor_its_shift_is_trained() -> None:
    made = module()
    assert frozen(made) == frozenset()
    for name in ("bn.weight", "wide.bias"):
        made.get_parameter(name).requires_grad_(False)
    assert frozen(made) == frozenset()
    made.get_parameter("bn.bias").requires_grad_(False)
    assert frozen(made) == {"bn"}
    made.get_parameter("wide.weight").requires_grad_(False)
    assert frozen(made) == {"bn", "sliced"}
    assert frozen(nn.ModuleDict({"module": made})) == {"module.bn", "module.sliced"}


def test_a_layer_without_weights_is_not_frozen() -> None:
    assert frozen(nn.Sequential(nn.BatchNorm2d(3, affine=False))) == frozenset()
