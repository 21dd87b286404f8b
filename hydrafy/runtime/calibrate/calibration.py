"""What `calibrate` finds: plain values, for tables and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Unit = Literal["MACs", "ms"]


@dataclass(frozen=True)
class Point:
    """Thresholds, and what they make of the validation images.

    Attributes:
        cost: of an image, the mean of all images.
        share: of the cost when nothing is skipped.
        top1: the share of images whose class has the highest score.
        leaves: the share of images that leave at each exit, the last included.
        settings: the run-time inputs, column by column.
    """

    cost: float
    share: float
    top1: float
    leaves: tuple[float, ...]
    settings: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Step:
    """The best thresholds for one budget.

    Attributes:
        budget: on the mean cost of an image.
        best: what the search finds.
        paper: the best that the paper's rule has; None where it has nothing that cheap.
    """

    budget: float
    best: Point
    paper: Point | None


@dataclass(frozen=True)
class Answer:
    """What an exit says, if all images leave there.

    Attributes:
        cost: of an image, the mean of all.
        share: of the cost when nothing is skipped.
        top1: the share of images whose class has the highest score.
        agreement: how alike it ranks the images to the exit before it, by how sure they are:
            Spearman's rank correlation; None of the first exit and of the last, which has no score.
    """

    cost: float
    share: float
    top1: float
    agreement: float | None


@dataclass(frozen=True)
class Judged:
    """How a rule does on images that it has not seen: top-1, and the mean cost of an image."""

    top1: float
    cost: float


@dataclass(frozen=True)
class Calibration:
    """Thresholds for a budget, and all others that make sense.

    Attributes:
        file: whose thresholds they are.
        data: where the images came from.
        images: how many there were.
        damaged: how many more could not be read, and were passed over.
        unit: of costs.
        whole: what an image costs if nothing is skipped.
        budget: on the mean cost of an image.
        answers: what each exit says, while gates of blocks and branches are as the file has them.
        before: the file's thresholds.
        chosen: those that were written instead.
        curve: the best thresholds for budgets at even distances.
        paper: those of the paper's rule, from its first point to its last, while gates of blocks
            and branches are as the file has them; none in a network without exits.
        held_out: how the search does where half of the images choose and the others judge; None
            where half of them are too few, or do not keep the budget.
        held_out_paper: the same of the paper's rule; None in a network without exits, too.
    """

    file: str
    data: str
    images: int
    damaged: int
    unit: Unit
    whole: float
    budget: float
    answers: tuple[Answer, ...]
    before: Point
    chosen: Point
    curve: tuple[Step, ...]
    paper: tuple[Point, ...]
    held_out: Judged | None
    held_out_paper: Judged | None
