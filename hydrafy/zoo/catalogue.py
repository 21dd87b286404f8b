"""Which source networks there are, by name, and the options of each."""

from __future__ import annotations

import dataclasses
import re
import typing
from dataclasses import dataclass
from typing import Literal, TypeVar

from hydrafy.errors import OptionError, nearest

IMAGENET_DEPTHS = (18, 34, 50)
EXAMPLES = ("resnet8", "resnet14", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110")


@dataclass(frozen=True)
class CifarOptions:
    """Options of the CIFAR family (He et al. 2015, section 4.2; theirs are the defaults)."""

    classes: int = 10
    channels: int = 3
    width: int = 16  # of the first stage; the stages have width, 2 width and 4 width channels
    size: int = 32  # pixels, of the square images
    shortcut: Literal["A", "B"] = "A"

    def __post_init__(self) -> None:
        _check_positive(self)
        if self.size < 4:
            raise OptionError(f"size={self.size} is too small: the network halves it twice, use 4")


@dataclass(frozen=True)
class ImageNetOptions:
    """Options of the ImageNet family (He et al. 2015, table 1; theirs are the defaults)."""

    classes: int = 1000
    size: int = 224  # pixels, of the square images

    def __post_init__(self) -> None:
        _check_positive(self)
        if self.size < 32:
            raise OptionError(
                f"size={self.size} is too small: the network halves it 5 times, use 32"
            )


Options = CifarOptions | ImageNetOptions
_Family = TypeVar("_Family", CifarOptions, ImageNetOptions)


@dataclass(frozen=True)
class Entry:
    """A network of the zoo: which family, how deep, with which options."""

    depth: int
    options: Options

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        size = self.options.size
        channels = self.options.channels if isinstance(self.options, CifarOptions) else 3
        return channels, size, size


def names() -> tuple[str, ...]:
    """The names most used, shortest depth first; every other 6n + 2 is known, too."""
    return (*EXAMPLES, *(f"resnet{depth}" for depth in IMAGENET_DEPTHS))


def find(name: str, options: typing.Mapping[str, object]) -> Entry:
    """The network of that name and with those options.

    Args:
        name: `resnetN`: of the ImageNet family for 18, 34 and 50, of the CIFAR family for every
            other N = 6n + 2. `cifar_resnetN` and `imagenet_resnetN` name a family outright.
        options: fields of `CifarOptions` or `ImageNetOptions`; numbers may be text.

    Raises:
        OptionError: no such network, no such option, or a value that makes no sense.
    """
    match = re.fullmatch(r"(cifar_|imagenet_)?resnet(\d+)", name)
    if match is None:
        raise OptionError(f"the zoo has no network {name!r}: {nearest(name, names())}")
    family, depth = match[1], int(match[2])
    if family == "imagenet_" or (family is None and depth in IMAGENET_DEPTHS):
        if depth not in IMAGENET_DEPTHS:
            raise OptionError(
                _no_depth(name, depth, [f"imagenet_resnet{d}" for d in IMAGENET_DEPTHS])
            )
        return Entry(depth, _options(ImageNetOptions, name, options))
    if depth < 8 or depth % 6 != 2:
        below = max(8, depth - (depth - 2) % 6)
        raise OptionError(
            _no_depth(name, depth, [f"{family or ''}resnet{d}" for d in (below, below + 6)])
        )
    return Entry(depth, _options(CifarOptions, name, options))


def _no_depth(name: str, depth: int, near: list[str]) -> str:
    return f"the zoo has no network {name!r} of depth {depth}: the nearest are {', '.join(near)}"


def _options(family: type[_Family], name: str, given: typing.Mapping[str, object]) -> _Family:
    kinds = typing.get_type_hints(family)
    for option in given:
        if option not in kinds:
            raise OptionError(f"{name} has no option {option!r}: {nearest(option, kinds)}")
    values = {option: _value(option, kinds[option], value) for option, value in given.items()}
    return family(**values)


def _value(option: str, kind: typing.Any, value: object) -> typing.Any:
    choices = typing.get_args(kind)
    if choices:
        if value not in choices:
            raise OptionError(f"{option}={value} is none of {', '.join(map(str, choices))}")
        return value
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionError(f"{option}={value} is not a whole number")
    return value


def _check_positive(options: Options) -> None:
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if isinstance(value, int) and value < 1:
            raise OptionError(f"{field.name}={value} is below 1")
