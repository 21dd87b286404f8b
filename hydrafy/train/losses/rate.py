"""The rate at which gates are open should be a target: what makes a network skip anything at all.

Source: Deep networks with probabilistic gates (2018), Sections 2.1, 3.1 and S2; ConvNet-AIG.

Settings:
- `decisions`: names of outputs [N, choices], of which the share that is open counts.
- `costs`: for each of them a number for each choice: what it weighs among the others.
- `target`: the rate t that is wanted, 0 to 1.
- `scope`: `batch` compares the mean over all choices (L_B, 3.1), `gate` each of them (L_G, 2.1).
- `penalty`: `quadratic`, or of one side only: `above` costs nothing below the target (S2.2),
  `below` nothing above it (Section 5).
- `course`: `fixed`; `anneal`, from 1 down by `step` after every `every` epochs, to the target
  (S2.1); `variable`, the mean of the target and of the rates of the epoch's batches so far (S2.2).
- `times`: what the loss is multiplied with; the released code takes the number of gates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from hydrafy.errors import OptionError
from hydrafy.ir.manifest import LossTerm
from hydrafy.train.across import total
from hydrafy.train.losses.seen import Seen

ROUNDING = 1e-9  # of decimals such as 0.05
LATE = True  # a network that skips nothing yet is often the most accurate


def value(term: LossTerm, seen: Seen) -> torch.Tensor:
    """The squared distance of the rate from its target, in float32; the mean of each choice's."""
    names: Sequence[str] = term.settings["decisions"]
    rates = torch.cat([_rates(seen.outputs[name]) for name in names])
    weights = rates.new_tensor([cost for costs in term.settings["costs"] for cost in costs])
    weights = weights / weights.sum()
    target = _target(term, seen, weights)
    scope = term.settings.get("scope", "batch")
    distance = rates - target if scope == "gate" else (weights * rates).sum() - target
    penalty = term.settings.get("penalty", "quadratic")
    if penalty != "quadratic":
        distance = distance.clamp(min=0) if penalty == "above" else distance.clamp(max=0)
    square = distance.square()
    found = (weights * square).sum() if scope == "gate" else square
    return float(term.settings.get("times", 1.0)) * found


def check(term: LossTerm, epochs: int) -> None:
    """Refuses an annealing that does not come to its target in so many epochs.

    Raises:
        OptionError: saying how many it takes.
    """
    target = float(term.settings["target"])
    if term.settings.get("course") != "anneal" or annealed(term, epochs - 1) <= target:
        return
    step, every = float(term.settings["step"]), float(term.settings["every"])
    needed = math.ceil(math.ceil((1 - target) / step - ROUNDING) * every - ROUNDING) + 1
    raise OptionError(
        f"loss term {term.name!r}: from 1 down by {step:g} every {every:g} epochs, the target "
        f"{target:g} is not reached in {epochs} epochs: train for {needed} or more, or convert "
        f"with larger steps"
    )


def annealed(term: LossTerm, epoch: int) -> float:
    """The target of an epoch, counted from 0."""
    target, step = float(term.settings["target"]), float(term.settings["step"])
    steps = math.floor(epoch / float(term.settings["every"]) + ROUNDING)
    return target if steps * step >= 1 - target - ROUNDING else 1 - steps * step


def _rates(decision: torch.Tensor) -> torch.Tensor:
    """How often each choice is made, over all processes: [choices]."""
    rows = decision.float().reshape(len(decision), -1)
    count = total(torch.tensor(float(len(rows)), device=rows.device))
    return total(rows.sum(0)) / count.clamp(min=1)


def _target(term: LossTerm, seen: Seen, weights: torch.Tensor) -> float:
    course, target = term.settings.get("course", "fixed"), float(term.settings["target"])
    if course == "anneal":
        return annealed(term, seen.moment.epoch)
    if course == "variable" and seen.moment.batches:
        rates = [r for name in term.settings["decisions"] for r in seen.moment.rates[name]]
        mean = float((weights.cpu() * torch.tensor(rates)).sum())
        return (target + seen.moment.batches * mean) / (1 + seen.moment.batches)
    return target
