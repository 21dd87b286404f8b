"""How to train, beside the schedule: seed, augmentation, arithmetic, machines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from hydrafy.errors import OptionError, nearest
from hydrafy.train.augment import check
from hydrafy.train.schedule import Schedule

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
Accelerator = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True)
class Options:
    """How to train.

    Attributes:
        schedule: epochs, optimiser, learning rate and so on, phase by phase.
        seed: of the order of images, of augmentation, and of gates that draw.
        augment: what happens to images: see `hydrafy.train.augment`.
        mixup: alpha of mixup, by which images are blended in pairs; 0 blends none.
        patience: a phase ends after so many epochs without a better validation; 0 never.
        precision: of the arithmetic; weights and statistics stay float32.
        accelerator: what to train on.
        devices: how many, in each machine.
        nodes: how many machines.
        workers: processes that read images ahead, for each device.
        compiled: whether torch.compile makes kernels for the network first.
        every: seconds after which a checkpoint is written within an epoch.

    Raises:
        OptionError: a value makes no sense.
    """

    schedule: Schedule
    seed: int = 0
    augment: tuple[str, ...] = ()
    mixup: float = 0.0
    patience: int = 0
    precision: Precision = "32-true"
    accelerator: Accelerator = "auto"
    devices: int = 1
    nodes: int = 1
    workers: int = 0
    compiled: bool = False
    every: float = 600.0

    def __post_init__(self) -> None:
        check(self.augment)
        if not 0 <= self.seed < 2**63:
            raise OptionError(f"seed = {self.seed} makes no sense: use one from 0 to 2**63 - 1")
        if not 0 <= self.mixup < math.inf:
            raise OptionError(f"mixup = {self.mixup} makes no sense: use one above 0, such as 1")
        for name, least in {"patience": 0, "workers": 0, "devices": 1, "nodes": 1}.items():
            if getattr(self, name) < least:
                raise OptionError(
                    f"{name} = {getattr(self, name)} makes no sense: use {least} or more"
                )
        for name, known in (("precision", Precision), ("accelerator", Accelerator)):
            value = getattr(self, name)
            if value not in get_args(known):
                raise OptionError(
                    f"there is no {name} {value!r}: {nearest(value, get_args(known))}"
                )
