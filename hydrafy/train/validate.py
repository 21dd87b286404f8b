"""How a module does on images that it is not trained on, while it trains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import MulticlassAccuracy

from hydrafy.train.across import total
from hydrafy.train.data import Damaged
from hydrafy.train.history import Validation
from hydrafy.train.loader import Examples, loader, normalise

BATCH = 256


def validate(
    module: nn.Module,
    examples: Examples,
    output: str,
    device: torch.device,
    damaged: Damaged,
    *,
    decisions: Sequence[str] = (),
    exits: Sequence[str] = (),
    process: int = 0,
    processes: int = 1,
    workers: int = 0,
) -> Validation:
    """Runs all images once in eval mode, and leaves the module's mode as it was.

    Args:
        module: returns a dict of outputs, the prediction [N, classes] first; or that alone.
        examples: the images; where several processes train, each takes its share.
        output: what the prediction is called where it comes alone.
        device: the module's.
        damaged: counts the images that cannot be read.
        decisions: the names of outputs that are decisions, bool [N, choices].
        exits: the names of outputs that are answers of early exits, [N, classes].
        process: which of the processes this is.
        processes: how many there are.
        workers: processes that read ahead.
    """
    mode = module.training
    module.eval()
    rows = np.arange(len(examples))[process::processes]
    # A process without rows has an empty batch, since the others wait for what it sums up.
    batches = [rows[start : start + BATCH] for start in range(0, max(len(rows), 1), BATCH)]
    meters: dict[str, Metric] = {}
    normal = normalise(examples.stream.normalisation, examples.axes, device)
    with torch.no_grad():
        for batch in loader(examples, batches, damaged, workers):
            batch = batch.to(device)
            outputs = module(normal(batch.images))
            outputs = {output: outputs} if isinstance(outputs, torch.Tensor) else outputs
            prediction = next(iter(outputs.values())).float()
            chosen = {name: outputs[name] for name in decisions}
            meters = meters or _meters(prediction, chosen, exits)
            if not len(batch):  # which torchmetrics does not take
                continue
            losses = F.cross_entropy(prediction, batch.labels, reduction="none")
            meters["loss"].update(losses)
            meters["top1"].update(prediction, batch.labels)
            meters["top5"].update(prediction, batch.labels)
            for name, decision in chosen.items():
                meters[name].update(decision)
            for name in exits:
                meters[name].update(outputs[name].float(), batch.labels)
    module.train(mode)
    found = {name: meter.compute() for name, meter in meters.items()}
    lost = torch.tensor(len(damaged), device=device)
    lost = total(lost) if processes > 1 else lost
    return Validation(
        images=len(examples) - int(lost),
        loss=float(found["loss"]),
        top1=float(found["top1"]),
        top5=float(found["top5"]),
        rates={name: tuple(found[name].reshape(-1).tolist()) for name in decisions},
        exits={name: float(found[name]) for name in exits},
    )


class Shares(Metric):
    """How often each choice of a decision is taken, 0 to 1: [choices]."""

    taken: torch.Tensor
    images: torch.Tensor

    def __init__(self, choices: int) -> None:
        super().__init__()
        self.add_state("taken", torch.zeros(choices, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("images", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, decision: torch.Tensor) -> None:
        """Counts a batch in: bool [N, choices], or [N]."""
        self.taken += decision.reshape(len(decision), len(self.taken)).sum(0)
        self.images += len(decision)

    def compute(self) -> torch.Tensor:
        """The shares over all that was counted."""
        return self.taken / self.images


def _meters(
    prediction: torch.Tensor, chosen: dict[str, torch.Tensor], exits: Sequence[str]
) -> dict[str, Metric]:
    classes = prediction.shape[1]
    top = {"top1": 1, "top5": min(5, classes)} | dict.fromkeys(exits, 1)
    meters: dict[str, Metric] = {
        "loss": MeanMetric(),
        **{name: MulticlassAccuracy(classes, k, average="micro") for name, k in top.items()},
        **{name: Shares(d.shape[1:].numel()) for name, d in chosen.items()},
    }
    return {name: meter.to(prediction.device) for name, meter in meters.items()}
