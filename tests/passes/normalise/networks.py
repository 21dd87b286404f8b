"""Small networks in torch, each with one thing that timm's and torchvision's variants have."""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

SHAPE = (3, 16, 16)
CLASSES = 5


class Gate(nn.Module):
    """Squeeze and excitation (arXiv:1709.01507) by 1x1 convolutions, as timm writes it."""

    def __init__(self, channels: int, last: type[nn.Module] = nn.Sigmoid) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)
        self.act, self.gate = nn.ReLU(), last()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gate(self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True)))))


class LinearGate(nn.Module):
    """The same by linear layers on [N, C]: pooled, viewed, expanded."""

    def __init__(self, channels: int, *, view: bool = True, bias: bool = False) -> None:
        super().__init__()
        self.view = view
        self.fc = nn.Sequential(
            nn.Linear(channels, 4, bias=bias),
            nn.ReLU(),
            nn.Linear(4, channels, bias=bias),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, _, _ = x.shape
        if self.view:
            scale = self.fc(F.adaptive_avg_pool2d(x, 1).view(n, c)).view(n, c, 1, 1)
            return x * scale.expand_as(x)
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class Block(nn.Module):
    """A residual block of two convolutions; before-activation if `pre`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        *,
        norm: Callable[[int], nn.Module],
        act: Callable[[], nn.Module],
        gate: Callable[[int], nn.Module],
        groups: int,
        pre: bool,
        shortcut: str,
    ) -> None:
        super().__init__()
        self.pre = pre
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, groups=groups, bias=False)
        self.norm1, self.norm2 = norm(inputs if pre else outputs), norm(outputs)
        self.act1, self.act2, self.gate = act(), act(), gate(outputs)
        self.down = _shortcut(shortcut, inputs, outputs, stride, norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pre:
            y = self.conv1(self.act1(self.norm1(x)))
            return self.down(x) + self.gate(self.conv2(self.act2(self.norm2(y))))
        y = self.act1(self.norm1(self.conv1(x)))
        return self.act2(self.down(x) + self.gate(self.norm2(self.conv2(y))))


class PadShortcut(nn.Module):
    """Type A: every second pixel, and channels of zeros."""

    def __init__(self, more: int, stride: int) -> None:
        super().__init__()
        self.more, self.stride = more, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))


def _shortcut(
    kind: str, inputs: int, outputs: int, stride: int, norm: Callable[[int], nn.Module]
) -> nn.Module:
    if inputs == outputs and stride == 1:
        return nn.Identity()
    if kind == "pad":
        return PadShortcut(outputs - inputs, stride)
    if kind == "pool":
        pool = nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False)
        return nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1, bias=False), norm(outputs))
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))


class Residual(nn.Module):
    """A stem, two stages of one and two blocks at widths 8 and 16, and a linear head."""

    def __init__(
        self,
        *,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        act: Callable[[], nn.Module] = nn.ReLU,
        gate: Callable[[int], nn.Module] = lambda _: nn.Identity(),
        groups: int = 1,
        pre: bool = False,
        shortcut: str = "projection",
        deep: bool = False,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        options = {"norm": norm, "act": act, "gate": gate, "groups": groups, "pre": pre}
        convs = [(3, 4), (4, 4), (4, 8)] if deep else [(3, 8)]
        stem = [[nn.Conv2d(i, o, 3, 1, 1, bias=False), norm(o), act()] for i, o in convs]
        self.stem = nn.Sequential(*(layer for part in stem for layer in part))
        self.layer1 = Block(8, 8, 1, shortcut=shortcut, **options)
        self.layer2 = nn.Sequential(
            Block(8, 16, 2, shortcut=shortcut, **options),
            Block(16, 16, 1, shortcut=shortcut, **options),
        )
        self.pool, self.drop = nn.AdaptiveAvgPool2d(1), nn.Dropout(drop)
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer2(self.layer1(self.stem(x)))
        return self.fc(self.drop(torch.flatten(self.pool(x), 1)))


class Dense(nn.Module):
    """DenseNet-BC (arXiv:1608.06993): two blocks of two layers, compressed in between."""

    def __init__(self, growth: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.block1 = nn.ModuleList(_dense(8 + n * growth, growth) for n in range(2))
        self.transition = nn.Sequential(
            nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 1, bias=False), nn.AvgPool2d(2)
        )
        self.block2 = nn.ModuleList(_dense(8 + n * growth, growth) for n in range(2))
        self.norm, self.fc = nn.BatchNorm2d(16), nn.Linear(16, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block, end in ((self.block1, self.transition), (self.block2, self.norm)):
            for layer in block:
                x = torch.cat([x, layer(x)], 1)
            x = end(x)
        return self.fc(F.adaptive_avg_pool2d(F.relu(x), 1).flatten(1))


def _dense(inputs: int, growth: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, 2 * growth, 1, bias=False),
        nn.BatchNorm2d(2 * growth),
        nn.ReLU(),
        nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False),
    )


def group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(2, channels)


VARIANTS: dict[str, Callable[[], nn.Module]] = {
    "plain": Residual,
    "resnet-c": functools.partial(Residual, deep=True),
    "resnet-d": functools.partial(Residual, deep=True, shortcut="pool"),
    "type-a": functools.partial(Residual, shortcut="pad"),
    "resnext": functools.partial(Residual, groups=4),
    "pre-activation": functools.partial(Residual, pre=True),
    "group-norm": functools.partial(Residual, norm=group_norm),
    "instance-norm": functools.partial(
        Residual, norm=functools.partial(nn.InstanceNorm2d, affine=True)
    ),
    "se-conv": functools.partial(Residual, gate=Gate),
    "se-hard": functools.partial(Residual, gate=functools.partial(Gate, last=nn.Hardsigmoid)),
    "se-linear": functools.partial(Residual, gate=LinearGate),
    "se-index": functools.partial(
        Residual, gate=functools.partial(LinearGate, view=False, bias=True)
    ),
    "silu": functools.partial(Residual, act=nn.SiLU),
    "gelu": functools.partial(Residual, act=nn.GELU),
    "gelu-tanh": functools.partial(Residual, act=functools.partial(nn.GELU, "tanh")),
    "hardswish": functools.partial(Residual, act=nn.Hardswish),
    "leaky-relu": functools.partial(Residual, act=functools.partial(nn.LeakyReLU, 0.1)),
    "elu": functools.partial(Residual, act=nn.ELU),
    "prelu": functools.partial(Residual, act=nn.PReLU),
    "relu6": functools.partial(Residual, act=nn.ReLU6),
    "mish": functools.partial(Residual, act=nn.Mish),
    "dropout": functools.partial(Residual, drop=0.5),
    "densenet": Dense,
}


def network(name: str) -> nn.Module:
    """A variant with random weights and statistics, in eval mode; the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = VARIANTS[name]()
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d | nn.GroupNorm | nn.InstanceNorm2d):
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias, std=0.2)
            if isinstance(part, nn.BatchNorm2d):
                nn.init.normal_(part.running_mean, std=0.2)
                nn.init.uniform_(part.running_var, 0.5, 1.5)
        for name_, weight in net.named_parameters():
            if name_.endswith("bias"):
                nn.init.normal_(weight, std=0.1)
        return net.eval()
