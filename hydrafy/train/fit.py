"""The training loop: AdamW with a warm-up and a cosine, over images held in memory."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hydrafy.errors import DataError, OptionError
from hydrafy.train.augment import Augmentation, augment, check
from hydrafy.train.data import Array
from hydrafy.train.history import History, Meter, Step
from hydrafy.train.losses import Losses

WARM_UP = 0.05  # of all steps
Progress = Callable[[Step], None]


@dataclass(frozen=True)
class Options:
    """How to train. Weight decay leaves out biases and the weights of BatchNorms."""

    epochs: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    seed: int = 0
    augment: tuple[Augmentation, ...] = ()

    def __post_init__(self) -> None:
        check(self.augment)
        for name in ("epochs", "batch_size", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise OptionError(f"{name} = {getattr(self, name)} makes no sense: use one above 0")
        if not 0 <= self.weight_decay < math.inf:
            raise OptionError(f"weight_decay = {self.weight_decay} makes no sense: 0 turns it off")
        if not 0 <= self.seed < 2**63:
            raise OptionError(f"seed = {self.seed} makes no sense: use one from 0 to 2**63 - 1")


def fit(
    module: nn.Module,
    losses: Losses,
    images: Array,
    labels: Array,
    options: Options,
    progress: Progress | None = None,
) -> History:
    """Trains a module in place, on the device that it is on, and leaves it in eval mode.

    The same seed gives the same weights, whatever was drawn from torch's generators before; those
    are left as they were. On Ctrl-C the module gets the weights of the last finished epoch.

    Args:
        module: returns a dict of outputs, or one tensor [N, classes], which is then what the first
            loss term reads. The accuracy is that of its first output.
        losses: what is minimised.
        images: float32 [N, C, H, W].
        labels: int64 [N].
        options: how.
        progress: called after each batch.

    Raises:
        OptionError: a loss term became NaN or infinite; it says which, and in which epoch. Or
            batches of one image should train a BatchNorm.
        DataError: there is one image only, and a BatchNorm.
    """
    _check_batches(module, len(labels), options.batch_size)
    device = _device(module)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    generator = torch.Generator().manual_seed(options.seed)
    optimiser = torch.optim.AdamW(_grouped(module, options.weight_decay), lr=options.learning_rate)
    count = math.ceil(_used(len(y), options.batch_size) / options.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _rate(options.epochs * count))

    def one_epoch(epoch: int) -> Step:
        module.train()
        meter = Meter(epoch, options.epochs, count)
        for rows in _batches(len(y), options.batch_size, generator):
            labels_here = y[rows].to(device)
            outputs = module(augment(x[rows], options.augment, generator).to(device))
            if isinstance(outputs, torch.Tensor):
                outputs = {losses.terms[0].output: outputs}
            values = losses(outputs, labels_here)
            total = losses.total(values)
            step = meter.add(total, values, next(iter(outputs.values())), labels_here)
            optimiser.zero_grad()
            torch.autograd.backward(total)
            optimiser.step()
            schedule.step()
            if progress is not None:
                progress(step)
        return step

    finished: list[Step] = []
    kept = copy.deepcopy(module.state_dict())
    interrupted = False
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(options.seed)
        try:
            for epoch in range(1, options.epochs + 1):
                step = one_epoch(epoch)
                kept = copy.deepcopy(module.state_dict())
                finished.append(step)
        except KeyboardInterrupt:
            module.load_state_dict(kept)
            interrupted = True
    module.eval()
    return History(tuple(finished), interrupted)


def accuracy(module: nn.Module, images: Array, labels: Array, batch_size: int = 256) -> float:
    """Top-1 of a module's first output in eval mode, 0 to 1; its mode is left as it was.

    Args:
        module: as in `fit`.
        images: float32 [N, C, H, W], N at least 1.
        labels: int64 [N].
        batch_size: how many images run at once.
    """
    mode, device, hits = module.training, _device(module), 0
    module.eval()
    with torch.no_grad():
        for x, y in zip(
            torch.split(torch.from_numpy(images), batch_size),
            torch.split(torch.from_numpy(labels), batch_size),
            strict=True,
        ):
            outputs = module(x.to(device))
            first = outputs if isinstance(outputs, torch.Tensor) else next(iter(outputs.values()))
            hits += int((first.argmax(1).cpu() == y).sum())
    module.train(mode)
    return hits / len(labels)


def _device(module: nn.Module) -> torch.device:
    return next((p.device for p in module.parameters()), torch.device("cpu"))


def _grouped(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]


def _rate(steps: int) -> Callable[[int], float]:
    """The share of the learning rate at each step: up in a line, then down in a half cosine."""
    warm = max(1, round(WARM_UP * steps))

    def share(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

    return share


def _check_batches(module: nn.Module, images: int, size: int) -> None:
    """Refuses batches of one image where statistics are taken over a batch."""
    if min(images, size) > 1 or not any(isinstance(m, _BatchNorm) for m in module.modules()):
        return
    why = "the network has BatchNorms, which take their statistics from a batch"
    if size == 1:
        raise OptionError(f"batch_size = 1 makes no sense, because {why}: use 2 or more")
    raise DataError(f"a single image cannot be trained on, because {why}: give more")


def _used(images: int, size: int) -> int:
    """How many images an epoch uses: a last batch of one is left out, no BatchNorm could train."""
    return images - 1 if images % size == 1 and images > size > 1 else images


def _batches(images: int, size: int, generator: torch.Generator) -> Iterable[torch.Tensor]:
    """Rows in random order, batch by batch."""
    rows = torch.randperm(images, generator=generator)[: _used(images, size)]
    batches: Iterable[torch.Tensor] = torch.split(rows, size)
    return batches
