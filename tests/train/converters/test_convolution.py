import numpy as np
import pytest
from torch import nn

from hydrafy.errors import ModelError
from hydrafy.train.importer import to_torch
from tests.train.programs import Sketch, agree, single


def weight(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("kernel", "attributes"),
    [
        ((6, 4, 3, 3), {}),
        ((6, 4, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ((6, 4, 3, 3), {"pads": [0, 1, 2, 1]}),
        ((6, 4, 3, 3), {"auto_pad": "VALID"}),
        ((6, 4, 3, 1), {"dilations": [2, 1], "pads": [2, 0, 2, 0]}),
        ((6, 2, 3, 3), {"group": 2, "pads": [1, 1, 1, 1]}),
        ((8, 1, 3, 3), {"group": 4, "strides": [2, 1]}),
    ],
)
def test_conv_agrees_with_onnxruntime(kernel: tuple[int, ...], attributes: dict) -> None:
    agree(single("Conv", (4, 9, 8), weight(*kernel), **attributes))
    agree(single("Conv", (4, 9, 8), weight(*kernel), weight(kernel[0]), **attributes))


@pytest.mark.parametrize(("axes", "pads"), [(1, [1, 2]), (3, [0, 1, 1, 1, 1, 0])])
def test_conv_over_one_and_three_axes(axes: int, pads: list[int]) -> None:
    agree(single("Conv", (2, *(5,) * axes), weight(3, 2, *(3,) * axes), pads=pads))


def test_a_conv_that_owns_its_weights_is_a_layer() -> None:
    s = Sketch()
    module = agree(s.program(s.conv(s.conv(s.x, "stem.conv", 4, 3), "plain", 2, 1, bias=False)))
    stem, plain = module.get_submodule("stem.conv"), module.get_submodule("plain")
    assert isinstance(stem, nn.Conv2d) and stem.bias is not None
    assert isinstance(plain, nn.Conv2d) and plain.bias is None
    assert list(dict(module.named_parameters())) == [
        "stem.conv.weight",
        "stem.conv.bias",
        "plain.weight",
    ]


def test_a_weight_of_two_convs_is_one_parameter() -> None:
    s = Sketch()
    shared = s.random("shared.weight", 3, 3, 3, 3)
    once = s.op("Conv", [s.x, shared], "once", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    module = agree(s.program(s.op("Conv", [once, shared], "twice", kernel_shape=[3, 3])))
    assert [name for name, _ in module.named_parameters()] == ["shared.weight"]


def test_a_bias_that_another_node_adds_does_not_enter_the_layer() -> None:
    s = Sketch()
    conv = s.conv(s.x, "a", 3, 3, bias=False)
    module = agree(s.program(s.op("Add", [conv, s.random("a.bias", 3, 1, 1)], "sum")))
    assert {name for name, _ in module.named_parameters()} == {"a.weight", "a.bias"}


def test_pads_left_to_a_rule_are_refused_by_name() -> None:
    program = single("Conv", (4, 8, 8), weight(6, 4, 3, 3), auto_pad="SAME_UPPER")
    with pytest.raises(ModelError, match=r"node 'y' \(Conv\).*SAME_UPPER.*explicit pads"):
        to_torch(program)
