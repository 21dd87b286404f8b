"""What a recipe is: options, the passes it runs, the loss terms it brings."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from hydrafy.errors import OptionError, nearest
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


def option(default: Any, help: str, paper: str = "") -> Any:
    """A recipe's option: its default, what it does, and the paper's value."""
    return dataclasses.field(default=default, metadata={"help": help, "paper": paper})


@dataclass(frozen=True)
class Option:
    """An option as it is listed: name, type, default, help, the paper's value."""

    name: str
    type: str
    default: Any
    help: str
    paper: str


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of a network on data, for recipes that can use it.

    Attributes:
        class_features: the mean of each class's penultimate features, [classes, features]; None
            where there is no data.
    """

    class_features: np.ndarray | None = None


NOTHING = Measured()


@dataclass(frozen=True)
class Recipe(ABC):
    """A way to make a static network dynamic. Subclasses are frozen dataclasses of their options.

    A recipe lives in the file of its name in this package; the class has that name, capitalised:
    `Dynk` in `dynk.py`.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    cheaper: ClassVar[str] = "choose settings that skip more"
    """What to do where nothing is saved."""

    @abstractmethod
    def passes(self, program: Program, measured: Measured = NOTHING) -> Iterator[Pass]:
        """The passes to run on a static program; each may look at what the one before left."""

    @classmethod
    def fitted(cls, program: Program) -> Self:
        """The recipe at its defaults, as far as a network allows them (its classes, say).

        Raises:
            ModelError: the recipe has no place in this network; it says why.
        """
        return cls()

    @classmethod
    def remark(cls, source: Program, program: Program) -> str:
        """A sentence for the user on what the recipe has made of a source, or nothing."""
        return ""

    def sites(self, program: Program) -> dict[str, int]:
        """Where in a static program the recipe can be applied: MACs of one image by site.

        Raises:
            ModelError: nowhere; it says why.
        """
        return {}

    @classmethod
    def options(cls) -> tuple[Option, ...]:
        """All options with their types and defaults."""
        return tuple(
            Option(f.name, _type_name(f.type), f.default, f.metadata["help"], f.metadata["paper"])
            for f in dataclasses.fields(cls)
        )

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """A recipe from options as text or as values.

        Raises:
            OptionError: an unknown option (the nearest is named), or a value of the wrong type.
        """
        known = {o.name: o for o in cls.options()}
        values = {}
        for name, value in given.items():
            if name not in known:
                raise OptionError(
                    f"recipe {cls.name} has no option {name!r}: {nearest(name, known)}"
                )
            values[name] = _convert(cls.name, known[name], value)
        return cls(**values)

    def refuse(self, name: str, why: str) -> OptionError:
        """The error for an option whose value makes no sense."""
        return OptionError(f"recipe {self.name}: {name}={getattr(self, name)} {why}")


_TYPES = {"int": int, "float": float, "str": str}


def _type_name(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else annotation.__name__


def _convert(recipe: str, option: Option, value: Any) -> Any:
    kind = _TYPES[option.type]
    try:
        if isinstance(value, bool) or (kind is str and not isinstance(value, str)):
            raise ValueError
        if kind is int and float(value) != int(float(value)):
            raise ValueError
        return int(float(value)) if kind is int else kind(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise OptionError(
            f"recipe {recipe}: option {option.name} must be {_ARTICLES[option.type]}, not {value!r}"
        ) from error


_ARTICLES = {"int": "a whole number", "float": "a number", "str": "a word"}
