"""The networks of the zoo have the papers' shapes and sizes, and a seed decides their weights."""

import pytest
import torch
from torch import nn

from hydrafy import zoo
from hydrafy.errors import OptionError
from hydrafy.zoo.resnet import CifarResNet, ImageNetResNet, PadShortcut


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_cifar_sizes_are_those_of_the_paper(depth: int, millions: float) -> None:
    """He et al. 2015, table 6."""
    assert parameters(CifarResNet(depth)) / 1e6 == pytest.approx(millions, rel=0.03)


@pytest.mark.parametrize(("depth", "count"), [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032)])
def test_imagenet_sizes_are_torchvisions(depth: int, count: int) -> None:
    with torch.device("meta"):
        assert parameters(ImageNetResNet(depth)) == count


def test_imagenet_names_are_torchvisions() -> None:
    with torch.device("meta"):
        names = set(ImageNetResNet(50).state_dict())
    assert {
        "conv1.weight",
        "bn1.running_var",
        "layer1.0.conv3.weight",
        "layer1.0.downsample.0.weight",
        "layer4.0.downsample.1.bias",
        "layer4.2.bn3.num_batches_tracked",
        "fc.bias",
    } <= names
    assert len(names) == 320  # of torchvision's resnet50


def test_bottlenecks_stride_in_their_3x3() -> None:
    with torch.device("meta"):
        block = ImageNetResNet(50).layer3[0]
    assert block.conv1.stride == (1, 1)
    assert block.conv2.stride == (2, 2)


def test_type_a_has_no_parameters_and_type_b_projects() -> None:
    width = 4
    a, b = CifarResNet(8, width=width), CifarResNet(8, width=width, shortcut="B")
    projections = sum(c * 2 * c + 2 * 2 * c for c in (width, 2 * width))
    assert parameters(b) - parameters(a) == projections


def test_type_a_takes_every_second_pixel_and_pads_either_side() -> None:
    x = torch.arange(2 * 16.0).reshape(1, 2, 4, 4) + 1
    y = PadShortcut(2, 4, 2)(x)
    assert y.shape == (1, 4, 2, 2)
    assert torch.equal(y[:, 1:3], x[:, :, ::2, ::2])
    assert not y[:, [0, 3]].any()


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_cifar_shapes(shortcut: str) -> None:
    net = zoo.build("resnet8", classes=7, channels=1, width=4, size=12, shortcut=shortcut)
    stages: list[tuple[int, ...]] = []
    for stage in (net.layer1, net.layer2, net.layer3):
        stage.register_forward_hook(lambda _m, _i, out: stages.append(tuple(out.shape)))
    assert net(torch.randn(3, 1, 12, 12)).shape == (3, 7)
    assert stages == [(3, 4, 12, 12), (3, 8, 6, 6), (3, 16, 3, 3)]


def test_resnet18_runs_with_settled_activations() -> None:
    net = zoo.build("resnet18", classes=5, size=64)
    assert not net.training
    with torch.no_grad():
        logits = net(torch.randn(4, 3, 64, 64))
    assert logits.shape == (4, 5)
    assert 0.05 < logits.std() < 20


def test_statistics_are_those_of_one_batch_and_momentum_is_usual() -> None:
    net = zoo.build("resnet8", width=4, size=8)
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {m.momentum for m in norms} == {0.1}
    with torch.no_grad():
        x = net.bn1(net.conv1(torch.randn(256, 3, 8, 8)))
    normalised = (x - net.bn1.bias[:, None, None]) / net.bn1.weight[:, None, None]
    assert torch.allclose(normalised.std(dim=(0, 2, 3)), torch.ones(4), atol=0.1)


def test_a_seed_decides_the_weights_and_leaves_the_callers_state() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, same = (zoo.build("resnet8", 3, width=4).state_dict() for _ in range(2))
    other = zoo.build("resnet8", 4, width=4).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])


def test_no_two_parameters_are_equal() -> None:
    values = [tuple(p.flatten().tolist()) for p in zoo.build("resnet8", width=4).parameters()]
    assert len(set(values)) == len(values)


@pytest.mark.parametrize(
    ("name", "family", "depth"),
    [
        ("resnet20", zoo.CifarOptions, 20),
        ("resnet110", zoo.CifarOptions, 110),
        ("cifar_resnet50", zoo.CifarOptions, 50),
        ("resnet50", zoo.ImageNetOptions, 50),
        ("imagenet_resnet34", zoo.ImageNetOptions, 34),
    ],
)
def test_names(name: str, family: type, depth: int) -> None:
    entry = zoo.find(name, {})
    assert (type(entry.options), entry.depth) == (family, depth)


def test_every_listed_name_is_known() -> None:
    assert [zoo.find(name, {}).depth for name in zoo.names()]


def test_numbers_may_be_text() -> None:
    assert zoo.find("resnet20", {"classes": "100", "shortcut": "B"}) == zoo.find(
        "resnet20", {"classes": 100, "shortcut": "B"}
    )


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("resent20", {}, "did you mean 'resnet20'"),
        ("resnet21", {}, "resnet20, resnet26"),
        ("cifar_resnet18", {}, "cifar_resnet14, cifar_resnet20"),
        ("resnet2", {}, "resnet8, resnet14"),
        ("imagenet_resnet20", {}, "imagenet_resnet18"),
        ("resnet20", {"clases": 5}, "did you mean 'classes'"),
        ("resnet50", {"shortcut": "B"}, "known are classes, size"),
        ("resnet20", {"shortcut": "C"}, "shortcut=C is none of A, B"),
        ("resnet20", {"width": "wide"}, "width=wide is not a whole number"),
        ("resnet20", {"width": True}, "not a whole number"),
        ("resnet20", {"classes": 0}, "classes=0 is below 1"),
        ("resnet20", {"size": 2}, "too small"),
        ("resnet18", {"size": 16}, "too small"),
    ],
)
def test_a_wrong_name_or_option_is_refused_with_the_right_one(
    name: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        zoo.build(name, **options)


def test_depths_outside_the_family_are_refused() -> None:
    with pytest.raises(ValueError, match="6n"):
        CifarResNet(18)
    with pytest.raises(ValueError, match="18, 34, 50"):
        ImageNetResNet(20)
