"""The loss of an early exit, against equations 7 and 8 (adaptive training, 2019)."""

import pytest
import torch

from hydrafy.ir.manifest import LossTerm
from hydrafy.train.losses.exit import value
from hydrafy.train.losses.seen import Moment, Seen

GENERATOR = torch.Generator().manual_seed(0)
EARLY, LAST = (torch.randn(6, 4, generator=GENERATOR, requires_grad=True) for _ in range(2))
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


def loss(*, last: bool = True, **settings: float) -> torch.Tensor:
    term = LossTerm("exits.0", "early", 1.0, "exit", {"last": "late", **settings})
    return value(term, Seen({"early": EARLY, "late": LAST}, LABELS, moment=Moment(last=last)))


def cross_entropy() -> torch.Tensor:
    return -EARLY.log_softmax(1)[range(6), LABELS].mean()


@pytest.mark.parametrize("heat", [1.0, 3.0])
def test_it_is_cross_entropy_and_the_divergence_from_the_last_exit(heat: float) -> None:
    p, q = ((x / heat).softmax(1) for x in (LAST, EARLY))
    divergence = (p * (p / q).log()).sum(1).mean()
    wanted = 0.9 * cross_entropy() + 0.1 * heat**2 * divergence
    torch.testing.assert_close(loss(alpha=0.9, temperature=heat), wanted)


def test_the_last_exit_learns_nothing_from_it() -> None:
    early, late = torch.autograd.grad(loss(alpha=0.5), (EARLY, LAST), allow_unused=True)
    assert early is not None and late is None


@pytest.mark.parametrize(("last", "alpha"), [(False, 0.5), (True, 1.0)])
def test_before_the_last_phase_and_without_a_share_it_is_cross_entropy(
    last: bool, alpha: float
) -> None:
    torch.testing.assert_close(loss(last=last, alpha=alpha), cross_entropy())


def test_without_a_label_only_the_last_exit_tells() -> None:
    term = LossTerm("exits.0", "early", 1.0, "exit", {"last": "late", "alpha": 0.5})
    outputs = {"early": EARLY, "late": LAST}
    found = value(term, Seen(outputs, torch.tensor([0, -1, 2, -1, 0, -1])))
    divergence = (LAST.softmax(1) * (LAST.log_softmax(1) - EARLY.log_softmax(1))).sum(1).mean()
    entropy = -EARLY.log_softmax(1)[[0, 2, 4], [0, 2, 0]].mean()
    torch.testing.assert_close(found, 0.5 * entropy + 0.5 * divergence)
