"""A training schedule as a value: phases, each with its optimiser, its rate and what is trained."""

from __future__ import annotations

import dataclasses
import glob
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from hydrafy.errors import OptionError, nearest

Optimiser = Literal["sgd", "adamw"]
Decay = Literal["constant", "cosine", "steps"]
Milestone = tuple[float, float]
"""After so many epochs of its phase, the learning rate is the initial one times this factor."""

MOMENTUM = 0.9  # where SGD takes the place of a schedule's AdamW


@dataclass(frozen=True)
class Phase:
    """A part of the training, with an optimiser of its own that starts afresh.

    Attributes:
        epochs: how many times each image is seen.
        batch_size: images of a step, over all processes.
        optimiser: `sgd` or `adamw`.
        learning_rate: the initial one, reached when the warm-up is over.
        momentum: of `sgd`, without dampening.
        nesterov: whether that momentum is Nesterov's.
        weight_decay: of all weights but biases and those of BatchNorms.
        decay: how the rate falls: never, in half a cosine down to 0, or at milestones.
        milestones: of the decay `steps`, in order. An epoch may be a fraction, so that a schedule
            of 190 epochs can be walked in 10.
        warm_up: the share of all steps in which the rate rises in a line.
        clip: the largest norm of all gradients together; None for any.
        frozen: patterns of parameters that keep their values: see `hydrafy.train.freeze`. Or groups
            of a network's manifest, `@classifiers`.
        trained: the same of the only ones that do not.

    Raises:
        OptionError: a value makes no sense, alone or beside another.
    """

    epochs: int
    batch_size: int
    optimiser: Optimiser
    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    decay: Decay = "constant"
    milestones: tuple[Milestone, ...] = ()
    warm_up: float = 0.0
    clip: float | None = None
    frozen: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_choice("optimiser", get_args(Optimiser))
        self._check_choice("decay", get_args(Decay))
        for name in ("epochs", "batch_size"):
            self._check(name, getattr(self, name) >= 1, "use one or more")
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            self._check(name, value is None or 0 < value < math.inf, "use one above 0")
        self._check("weight_decay", 0 <= self.weight_decay < math.inf, "0 turns it off")
        self._check("warm_up", 0 <= self.warm_up < 1, "it is a share of all steps, from 0 to 1")
        self._check("momentum", 0 <= self.momentum < 1, "use one from 0 to 1")
        if self.optimiser == "adamw" and (self.momentum or self.nesterov):
            raise OptionError("adamw takes no momentum: leave it out, or use sgd")
        if self.nesterov and not self.momentum:
            raise OptionError("nesterov = true makes no sense without a momentum: use 0.9")
        if self.frozen and self.trained:
            raise OptionError("frozen and trained exclude each other: give one of them")
        self._check_milestones()

    def share(self, step: int, steps_per_epoch: int) -> float:
        """The share of the learning rate at a step of the phase, counted from 0."""
        steps = self.epochs * steps_per_epoch
        warm = round(self.warm_up * steps)
        risen = min(1.0, (step + 1) / max(1, warm))
        if self.decay == "cosine":
            done = max(0, step - warm) / max(1, steps - warm)
            return risen * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        passed = [factor for epoch, factor in self.milestones if step >= epoch * steps_per_epoch]
        return risen * (passed[-1] if passed else 1.0)

    def known(self, groups: Mapping[str, Sequence[str]]) -> Phase:
        """The phase with the names of parameters in the place of groups.

        Raises:
            OptionError: there is no such group.
        """
        frozen, trained = (
            tuple(name for pattern in patterns for name in _members(pattern, groups))
            for patterns in (self.frozen, self.trained)
        )
        return dataclasses.replace(self, frozen=frozen, trained=trained)

    def _check(self, name: str, sound: bool, remedy: str) -> None:
        if not sound:
            raise OptionError(f"{name} = {getattr(self, name)} makes no sense: {remedy}")

    def _check_choice(self, name: str, known: Sequence[str]) -> None:
        value = getattr(self, name)
        if value not in known:
            raise OptionError(f"there is no {name} {value!r}: {nearest(value, known)}")

    def _check_milestones(self) -> None:
        if bool(self.milestones) != (self.decay == "steps"):
            raise OptionError("milestones and the decay 'steps' belong together: give both or none")
        epochs = [epoch for epoch, _ in self.milestones]
        if sorted(set(epochs)) != epochs or not all(0 < e < self.epochs for e in epochs):
            raise OptionError(
                f"milestones after {', '.join(f'{e:g}' for e in epochs)} epochs make no sense in "
                f"{self.epochs}: name epochs in order, within these"
            )
        for epoch, factor in self.milestones:
            if not 0 < factor < math.inf:
                raise OptionError(
                    f"the milestone after {epoch:g} epochs has the factor {factor}: use one above 0"
                )


@dataclass(frozen=True)
class Schedule:
    """How a network is trained, from the first phase to the last.

    Papers train from scratch, many of them at a rate of 0.1, and their schedules say so to the
    letter. A pretrained network wants less: `change` replaces what should be other.

    Attributes:
        name: what it is called.
        source: where it comes from: paper and section.
        phases: in order, one at least.
        chosen: what the source leaves open, and what stands here instead.
    """

    name: str
    source: str
    phases: tuple[Phase, ...]
    chosen: str = ""

    def __post_init__(self) -> None:
        if not self.phases:
            raise OptionError(f"schedule {self.name} has no phase: give one or more")

    def change(
        self,
        *,
        epochs: Sequence[int] | None = None,
        optimiser: Optimiser | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        clip: float | None = None,
    ) -> Schedule:
        """The schedule with other values; those that are None stay as they are.

        Args:
            epochs: of each phase. Milestones keep their share of it.
            optimiser: of all phases. SGD comes with a momentum of 0.9 where there was AdamW.
            batch_size: of all phases, as are the others.
            learning_rate: the initial one.
            weight_decay: 0 turns it off.
            clip: the largest norm of the gradients.

        Raises:
            OptionError: a value makes no sense, or there are more or fewer epochs than phases.
        """
        lengths = [phase.epochs for phase in self.phases] if epochs is None else list(epochs)
        if len(lengths) != len(self.phases):
            written = ",".join(str(phase.epochs) for phase in self.phases)
            raise OptionError(
                f"schedule {self.name} has {_counted(len(self.phases), 'phase')}, but epochs for "
                f"{len(lengths)}: give as many numbers, such as {written}"
            )
        values: dict[str, Any] = {
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "clip": clip,
        }
        given = {name: value for name, value in values.items() if value is not None}
        phases = [
            dataclasses.replace(_driven(_lasting(phase, length), optimiser), **given)
            for phase, length in zip(self.phases, lengths, strict=True)
        ]
        return dataclasses.replace(self, phases=tuple(phases))

    def known(self, groups: Mapping[str, Sequence[str]]) -> Schedule:
        """The schedule for a network whose manifest has these groups.

        Raises:
            OptionError: it speaks of another one.
        """
        phases = tuple(phase.known(groups) for phase in self.phases)
        return dataclasses.replace(self, phases=phases)


def _members(pattern: str, groups: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """The patterns that a pattern stands for: itself, unless it names a group."""
    if not pattern.startswith("@"):
        return [pattern]
    found = groups.get(pattern.removeprefix("@"))
    if found is None:
        have = ", ".join(f"@{name}" for name in groups) or "none"
        raise OptionError(
            f"the schedule speaks of {pattern}, but the groups of weights that the network knows "
            f"are: {have}; use another schedule, or convert with a recipe that makes such a group"
        )
    return [glob.escape(name) for name in found]


def _lasting(phase: Phase, epochs: int) -> Phase:
    milestones = tuple((e * epochs / phase.epochs, factor) for e, factor in phase.milestones)
    return dataclasses.replace(phase, epochs=epochs, milestones=milestones)


def _driven(phase: Phase, optimiser: Optimiser | None) -> Phase:
    if optimiser in (None, phase.optimiser):
        return phase
    momentum = MOMENTUM if optimiser == "sgd" else 0.0
    return dataclasses.replace(phase, optimiser=optimiser, momentum=momentum, nesterov=False)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
