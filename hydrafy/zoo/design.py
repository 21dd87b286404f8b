"""A design: all that decides a source network, apart from its random weights."""

from __future__ import annotations

import dataclasses
import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from torch import nn

from hydrafy.errors import OptionError, nearest

LARGEST = {"size": 1024}  # pixels: beyond that the activations of a batch fill the memory
MOST = 2**16  # of any other number


@dataclass(frozen=True, kw_only=True)
class Design(ABC):
    """A network of the zoo. A family is a subclass whose fields are what its members differ in.

    It lives in a file of `hydrafy/zoo/families`, beside the module that it builds. Fields that
    `PATTERN` captures are given by the name, all others are the family's options.
    """

    PATTERN: ClassVar[str]
    """Regular expression of the names; its groups are fields, whole numbers all."""
    LISTED: ClassVar[tuple[str, ...]]
    """The names most used, in the order in which they are shown."""
    DEPTHS: ClassVar[Sequence[int]] = ()
    """The depths there are; none where a name tells no depth."""
    HALVINGS: ClassVar[int]
    """How often the network halves its images before the global average."""
    BATCH: ClassVar[int]
    """How many images of noise give BatchNorm its statistics."""
    LIMITS: ClassVar[Mapping[str, int]] = {}
    """The largest values of options that would take too long or too much memory beyond them."""

    classes: int
    size: int  # pixels, of the square images

    def __post_init__(self) -> None:
        limits = {**LARGEST, **self.LIMITS}
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, str):
                continue
            if not value > 0:
                raise OptionError(f"{name}={value} is not above 0")
            if value > (most := limits.get(name, MOST)):
                raise OptionError(f"{name}={value} is above {most}")
        if self.size < 2**self.HALVINGS:
            raise OptionError(
                f"size={self.size} is too small: the network halves its images "
                f"{self.HALVINGS} times, use at least {2**self.HALVINGS}"
            )

    @abstractmethod
    def module(self) -> nn.Module:
        """The network in torch, with fresh weights from torch's random state."""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        return getattr(self, "channels", 3), self.size, self.size

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what the network gives, in order."""
        return ("logits",)

    @classmethod
    def options(cls, given: Mapping[str, int]) -> dict[str, Any]:
        """The options that a name leaves open, with their defaults; `given` is what it tells."""
        return {f.name: f.default for f in dataclasses.fields(cls) if f.name not in given}

    @classmethod
    def parse(cls, name: str, given: Mapping[str, int], options: Mapping[str, object]) -> Self:
        """The network `name`, which tells the fields `given`, with options as text or as values.

        Raises:
            OptionError: an unknown option (the nearest is named), or a value that makes no sense.
        """
        known = cls.options(given)
        kinds = typing.get_type_hints(cls)
        for option in options:
            if option not in known:
                raise OptionError(f"{name} has no option {option!r}: {nearest(option, known)}")
        values = {option: _value(option, kinds[option], v) for option, v in options.items()}
        return cls(**given, **values)


def _value(option: str, kind: Any, value: object) -> Any:
    choices = typing.get_args(kind)
    if choices:
        if value not in choices:
            raise OptionError(f"{option}={value} is none of {', '.join(map(str, choices))}")
        return value
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | kind):
            raise ValueError
        return kind(value)
    except (ValueError, OverflowError) as error:
        what = "a whole number" if kind is int else "a number"
        raise OptionError(f"{option}={value} is not {what}") from error
