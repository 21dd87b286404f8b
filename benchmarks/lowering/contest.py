"""Contests: contenders in turn, and rows of a table from what they took."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.timing import interleave, ratio

Contender = Callable[[int], object]


@dataclass(frozen=True)
class Row:
    """How one form of a network compares.

    Attributes:
        case: what is measured.
        form: of the lowered network.
        found: the median of the ratio, and its quartiles.
        target: what it should be at most.
        times: medians of both, in words.
    """

    case: str
    form: str
    found: tuple[float, float, float]
    target: float | None
    times: str


@dataclass(frozen=True)
class Settings:
    """How long to measure: how many images of noise, how often each is run."""

    images: int
    repeats: int


def contest(
    case: str,
    forms: Mapping[str, Contender],
    rival: tuple[str, Contender],
    targets: Mapping[str, float | None],
    samples: int,
    repeats: int,
) -> list[Row]:
    """Times forms of a network in turn with what they are compared with.

    Against an oracle, which each image has of its own, both run an image twice in a row.
    """
    against, other = rival
    runs = {against: other, **forms}
    timings, taken = interleave(runs, samples, repeats, again=against == "oracle")
    return [
        Row(
            case,
            form,
            ratio(taken[form], taken[against]),
            targets.get(form),
            f"{timings[form].median:.3f} / {timings[against].median:.3f} ms",
        )
        for form in forms
    ]
