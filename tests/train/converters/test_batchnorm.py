import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from hydrafy.errors import ModelError
from hydrafy.train.converters.batchnorm import Normalise
from hydrafy.train.exporter import from_torch
from hydrafy.train.importer import to_torch
from tests.train.programs import Sketch, agree, images


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((3,), nn.BatchNorm1d),
        ((3, 7), nn.BatchNorm1d),
        ((3, 5, 4), nn.BatchNorm2d),
        ((3, 2, 2, 2), nn.BatchNorm3d),
    ],
)
def test_batchnorm_that_owns_its_weights_is_a_layer(shape: tuple[int, ...], kind: type) -> None:
    s = Sketch(("N", *shape))
    module = agree(s.program(s.batchnorm(s.x, "bn")))
    layer = module.get_submodule("bn")
    assert isinstance(layer, kind)
    assert (layer.eps, layer.momentum) == (1e-5, 0.1)
    assert {n for n, _ in module.named_parameters()} == {"bn.weight", "bn.bias"}
    assert {"bn.running_mean", "bn.running_var"} <= {n for n, _ in module.named_buffers()}


def test_epsilon_and_momentum_are_the_nodes() -> None:
    s = Sketch()
    weights = [s.weight(f"bn.{n}", np.full(3, 0.5, np.float32)) for n in "abcd"]
    y = s.op("BatchNormalization", [s.x, *weights], "bn", epsilon=0.1, momentum=0.75)
    layer = agree(s.program(y)).get_submodule("bn_")
    assert isinstance(layer, Normalise)
    assert (layer.eps, layer.momentum) == (0.1, 0.25)


def test_a_batchnorm_of_a_slice_updates_the_statistics_it_was_sliced_from() -> None:
    s = Sketch()
    names = ("weight", "bias", "running_mean", "running_var")
    whole = [s.weight(f"bn.{n}", np.full(5, 0.5, np.float32)) for n in names]
    start, end = s.weight("start", np.array([0])), s.weight("end", np.array([3]))
    parts = [s.op("Slice", [w, start, end], f"{w.name}.part") for w in whole]
    module = agree(s.program(s.op("BatchNormalization", [s.x, *parts], "y")))
    assert {n for n, _ in module.named_parameters()} == {"bn.weight", "bn.bias"}
    module.train()
    module(torch.from_numpy(images(from_torch(module), 4)) + 3)
    mean = from_torch(module).weight("bn.running_mean")
    assert (mean[:3] > 0.6).all() and (mean[3:] == 0.5).all()


def test_training_mode_is_refused() -> None:
    s = Sketch()
    y = s.batchnorm(s.x, "bn")
    y.producer().attributes["training_mode"] = ir.AttrInt64("training_mode", 1)
    with pytest.raises(ModelError, match=r"'bn'.*eval mode"):
        to_torch(s.program(y))
