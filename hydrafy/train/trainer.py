"""The training loop, on Lightning Fabric: phases of epochs of steps, none of which is lost."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import time
from collections.abc import Callable
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import nn

from hydrafy.errors import FileError, OptionError
from hydrafy.train.augment import Augment
from hydrafy.train.checkpoint import Folder
from hydrafy.train.converters.last_phase import switch
from hydrafy.train.data import Damaged
from hydrafy.train.freeze import freeze, still
from hydrafy.train.history import Epoch, History, Step, Validation, as_plain, from_plain
from hydrafy.train.loader import Examples, Loaded, loader, normalise
from hydrafy.train.log import log
from hydrafy.train.losses import Losses
from hydrafy.train.meter import Meter
from hydrafy.train.mixup import blend
from hydrafy.train.norms import norms
from hydrafy.train.optimise import optimiser, rate
from hydrafy.train.options import Options
from hydrafy.train.order import Order, step_seed
from hydrafy.train.pace import pace
from hydrafy.train.schedule import Phase
from hydrafy.train.stop import Wish
from hydrafy.train.synchronise import synchronise
from hydrafy.train.teacher import Distillation, Teacher
from hydrafy.train.validate import validate

Watch = Callable[[Step | Epoch], None]
"""Called after each batch, and after each epoch."""


def silent(event: Step | Epoch) -> None:
    """Watches nothing."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a training stands: phase, epoch of the phase, batches of it, steps in all; from 0."""

    phase: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0


class Trainer:
    """A training in progress. See `hydrafy.train.fit` for what it is given."""

    def __init__(
        self,
        fabric: Fabric,
        module: nn.Module,
        losses: Losses,
        examples: Examples,
        options: Options,
        validation: Examples | None,
        decisions: tuple[str, ...],
        folder: Folder | None,
        watch: Watch,
        distillation: Distillation | None = None,
    ) -> None:
        self.fabric, self.module, self.losses, self.options = fabric, module, losses, options
        self.examples, self.validation, self.decisions = examples, validation, decisions
        self.folder = folder if fabric.is_global_zero else None  # one process writes for all
        self.watch = watch if fabric.is_global_zero else silent
        self.place = Place()
        self.epochs: tuple[Epoch, ...] = ()
        self.best = 0
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.restored: dict[str, Any] | None = None  # until the phase at hand has taken it up
        self.meter: Meter | None = None
        self.damaged = Damaged(examples.stream)
        self.unseen = None if validation is None else Damaged(validation.stream)
        normal = examples.stream.normalisation
        self.normalise = normalise(normal, examples.axes, fabric.device)
        self.augment = Augment(options.augment, examples.stream.shape[0], normal is not None)
        self.teacher = None if distillation is None else Teacher(fabric, distillation, normal)
        placed: Any = module.to(fabric.device)
        placed.to(memory_format=torch.channels_last)  # in which convolutions are faster
        if fabric.world_size > 1:
            synchronise(module)

    def train(self, stop: Wish) -> bool:
        """Goes through what is left of the schedule; False where it was told to stop."""
        phases = self.options.schedule.phases
        while self.place.phase < len(phases):
            if not self._phase(phases[self.place.phase], stop):
                return False
            self.place = Place(self.place.phase + 1, step=self.place.step)
        return True

    def end(self, interrupted: bool) -> History:
        """Gives the module the weights of the best epoch, and tells how it went."""
        if self.best_weights is not None and not interrupted:
            self.module.load_state_dict(self.best_weights)
        self.module.eval()
        switch(self.module, on=True)
        damaged = tuple(str(error) for error in self.damaged.errors.values())
        return History(self.epochs, self.best, interrupted, damaged)

    def save(self) -> None:
        """Writes a checkpoint, if the run is kept anywhere.

        Raises:
            FileError: it cannot be written.
            OptionError: weights are NaN or infinite; the checkpoint before stays.
        """
        self.saved = time.monotonic()
        self._check_weights()
        if self.folder is None:
            return
        state = {
            "place": dataclasses.astuple(self.place),
            "epochs": as_plain(self.epochs),
            "best": self.best,
            "module": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rate": self.rate.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "meter": None if self.meter is None else vars(self.meter),
            "damaged": {row: str(error) for row, error in self.damaged.errors.items()},
        }
        self.folder.save(state, as_plain(self.epochs))

    def restore(self, state: dict[str, Any], best: dict[str, torch.Tensor] | None) -> None:
        """Takes up a checkpoint."""
        self.place, self.best = Place(*state["place"]), state["best"]
        self.epochs = from_plain(state["epochs"])
        self.module.load_state_dict(state["module"])
        self.best_weights = best if self.best else None  # else it is of the phase before
        self.damaged.errors = {row: FileError(said) for row, said in state["damaged"].items()}
        self.restored = state
        freeze(self.module, self.options.schedule.phases[self.place.phase])

    def _check_weights(self) -> None:
        statistics = (each for layer in norms(self.module).values() for each in layer.buffers())
        held = itertools.chain(self.module.parameters(), statistics)
        if not all(each.isfinite().all() for each in held):
            raise OptionError(
                f"weights became NaN or infinite by step {self.place.step} of the training: lower "
                "the learning rate, or clip the gradients"
            )

    def _phase(self, phase: Phase, stop: Wish) -> bool:
        """Trains the epochs of a phase; False where it was told to stop."""
        freeze(self.module, phase)
        switch(self.module, on=self._last)
        self.order = Order(
            len(self.examples),
            phase.batch_size,
            self.options.seed,
            self.fabric.global_rank,
            self.fabric.world_size,
        )
        self.optimiser = optimiser(self.module, phase)
        self.rate = rate(self.optimiser, phase, self.order.batches)
        module: nn.Module = self.module
        if self.options.compiled:
            module = cast(nn.Module, torch.compile(module))
        self.engine, self.steps = self.fabric.setup(module, self.optimiser)
        if self.restored is None:
            self.best, self.best_weights = 0, None
        else:
            self.optimiser.load_state_dict(self.restored["optimiser"])
            self.rate.load_state_dict(self.restored["rate"])
            self.fabric.strategy.precision.load_state_dict(self.restored["precision"])
            self.meter = Meter.of(self.restored["meter"])
            self.restored = None
        self.saved = time.monotonic()
        while self.place.epoch < phase.epochs and not self._idle():
            if not self._epoch(phase, stop):
                return False
        return True

    @property
    def _last(self) -> bool:
        """Whether this is the last phase."""
        return self.place.phase == len(self.options.schedule.phases) - 1

    def _idle(self) -> bool:
        """Whether the validation has not become better for too long."""
        patience = self.options.patience
        return bool(patience and self.place.epoch and len(self.epochs) - self.best >= patience)

    def _epoch(self, phase: Phase, stop: Wish) -> bool:
        """Trains what is left of an epoch; False where it was told to stop."""
        began, batches = time.monotonic(), self.order.batches
        self.module.train()
        still(self.module)
        number = len(self.epochs) + 1
        every = sum(one.epochs for one in self.options.schedule.phases)
        pace(self.module, (number - 1) / max(1, every - 1))
        self.meter = meter = self.meter or Meter(number, every, batches)
        rows = self.order.rows(number)[self.place.batch :]
        for batch in loader(self.examples, rows, self.damaged, self.options.workers):
            if len(batch) or self.fabric.world_size > 1:  # others wait for what is summed up
                self._step(batch.to(self.fabric.device), phase, meter)
                self.watch(meter.step())
            self.place = dataclasses.replace(
                self.place, batch=self.place.batch + 1, step=self.place.step + 1
            )
            stopped = stop(self.fabric.device)
            if stopped or time.monotonic() - self.saved > self.options.every:
                self.save()
            if stopped:
                return False
        rate = phase.learning_rate * phase.share(self.place.epoch * batches, batches)
        self.meter = None
        self.place = dataclasses.replace(self.place, epoch=self.place.epoch + 1, batch=0)
        seconds = time.monotonic() - began
        self._finished(Epoch(meter.step(), self.place.phase, rate, seconds, self._validated()))
        return True

    def _step(self, batch: Loaded, phase: Phase, meter: Meter) -> None:
        torch.manual_seed(step_seed(self.options.seed, self.place.step, self.fabric.global_rank))
        blended = blend(self.options.mixup, len(batch), self.fabric.device)
        images = blended.images(self.augment(batch.images))
        said = None if self.teacher is None else self.teacher(images)
        outputs = self.engine(self.normalise(images))
        if isinstance(outputs, torch.Tensor):
            outputs = {self.losses.terms[0].output: outputs}
        moment = dataclasses.replace(meter.moment(), last=self._last)
        terms = blended.terms(lambda of: self.losses(outputs, of, said, moment), batch.labels)
        loss = self.losses.total(terms)
        decisions = {name: outputs[name] > 0 for name in self.decisions}  # also masks
        meter.add(loss, terms, next(iter(outputs.values())), batch.labels, decisions)
        self.steps.zero_grad()
        self.fabric.backward(loss)
        if phase.clip is not None:
            self.fabric.clip_gradients(self.engine, self.steps, max_norm=phase.clip)
        self.steps.step()
        self.rate.step()

    def _validated(self) -> Validation | None:
        if self.validation is None or self.unseen is None:
            return None
        return validate(
            self.engine,
            self.validation,
            self.losses.terms[0].output,
            self.fabric.device,
            self.unseen,
            decisions=self.decisions,
            exits=self.losses.exits,
            process=self.fabric.global_rank,
            processes=self.fabric.world_size,
            workers=self.options.workers,
        )

    def _finished(self, epoch: Epoch) -> None:
        """Notes an epoch, keeps its weights if they are the best, and writes a checkpoint."""
        self.epochs = (*self.epochs, epoch)
        found = epoch.validation
        before = self.epochs[self.best - 1].validation if self.best else None
        late = self.losses.late
        if found is None or before is None or late or found.top1 > before.top1:
            self.best = len(self.epochs)
            if found is not None:
                self.best_weights = copy.deepcopy(self.module.state_dict())
                if self.folder is not None:
                    self.folder.save_best(self.best_weights)
        self.save()
        if self.folder is not None:
            log(self.folder.path, self.epochs)
        self.watch(epoch)
