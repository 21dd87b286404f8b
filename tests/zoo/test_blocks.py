"""Blocks stride, project and pad as the papers say."""

import pytest
import torch
from torch import nn

from hydrafy.zoo.blocks import Bottleneck, PadShortcut, basic_stage, bottleneck_stage


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_bottlenecks_stride_in_their_3x3() -> None:
    block = Bottleneck(8, 4, stride=2)
    assert block.conv1.stride == (1, 1)
    assert block.conv2.stride == (2, 2)


def test_groups_cost_what_xie_et_al_say() -> None:
    """Section 3.1: about 70 k parameters, of ResNet's and of ResNeXt's block of 256 channels."""
    plain, grouped = (
        bottleneck_stage(256, 64, 1, 1, cardinality, width)
        for cardinality, width in ((1, 64), (32, 4))
    )
    convolutions = [
        sum(p.numel() for p in stage.parameters() if p.dim() == 4) for stage in (plain, grouped)
    ]
    assert convolutions == [256 * 64 + 9 * 64 * 64 + 64 * 256, 32 * (256 * 4 + 9 * 16 + 4 * 256)]


def test_type_a_has_no_parameters_and_type_b_projects() -> None:
    a, b = (basic_stage(4, 8, 2, 2, shortcut) for shortcut in ("A", "B"))
    assert parameters(b) - parameters(a) == 4 * 8 + 2 * 8
    assert parameters(basic_stage(4, 4, 2, 1, "A")) == parameters(basic_stage(4, 4, 2, 1, "B"))


def test_type_a_takes_every_second_pixel_and_pads_either_side() -> None:
    x = torch.arange(2 * 16.0).reshape(1, 2, 4, 4) + 1
    y = PadShortcut(2, 4, 2)(x)
    assert y.shape == (1, 4, 2, 2)
    assert torch.equal(y[:, 1:3], x[:, :, ::2, ::2])
    assert not y[:, [0, 3]].any()


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_a_stage_strides_once(shortcut: str) -> None:
    stage = basic_stage(4, 8, 3, 2, shortcut)  # type: ignore[arg-type]
    assert stage(torch.zeros(2, 4, 8, 8)).shape == (2, 8, 4, 4)
