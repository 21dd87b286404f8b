import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from hydrafy.train.gates.gumbel import GumbelGate
from hydrafy.train.importer import to_torch
from hydrafy.train.pace import pace
from tests.train.programs import Sketch

GATES = 3


def gate() -> Program:
    s = Sketch(("N", GATES))
    bound = s.weight("bound", np.zeros((1, 1), np.float32), overridable=True)
    bound.shape = type(s.x.shape)(["rows", "gates"])
    made = s.op("GumbelGate", [s.x, bound], "y", temperature=2.0, cooled=0.5)
    return s.program(made, manifest=Manifest(stage="dynamic"))


PROGRAM = gate()
MODULE, SESSION = to_torch(PROGRAM).eval(), Session(PROGRAM, threads=1)
few = st.sampled_from([-math.inf, -1.0, 0.0, 1.0, 1.0000001, math.inf])  # many ties
odds = st.sampled_from([-1.0, -0.0, 0.0, 1.0, 1.0000001])


@settings(deadline=None, max_examples=100)
@given(
    rows=st.lists(st.lists(odds, min_size=GATES, max_size=GATES), max_size=5),
    bound=st.one_of(
        few.map(lambda v: [[v]]),
        st.lists(few, min_size=GATES, max_size=GATES).map(lambda v: [v]),
    ),
)
def test_in_eval_mode_it_decides_what_onnxruntime_decides(rows: list, bound: list) -> None:
    scores, limit = np.array(rows, np.float32).reshape(-1, GATES), np.array(bound, np.float32)
    wanted = SESSION.run({"x": scores, "bound": limit})["y"]
    MODULE.bound = torch.from_numpy(limit)
    have = MODULE(torch.from_numpy(scores))["y"]
    assert have.dtype == torch.bool
    np.testing.assert_array_equal(have.numpy(), wanted)


def drawn(made: GumbelGate, logits: torch.Tensor, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return made.train()(logits, torch.tensor([[0.0]]))


def test_in_training_it_is_open_with_the_probability_of_its_log_odds() -> None:
    count, logits = 20_000, torch.tensor([-2.0, 0.0, 1.9])
    found = drawn(GumbelGate(), logits.expand(count, -1))
    chance = torch.sigmoid(logits)
    sigma = (chance * (1 - chance) / count).sqrt()
    assert found.unique().tolist() == [0.0, 1.0]
    assert ((found.mean(0) - chance).abs() < 4 * sigma).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_its_gradient_is_that_of_the_softmax_of_both_logits(temperature: float) -> None:
    closed, opened = torch.randn(2, 50, 1, generator=torch.manual_seed(1), dtype=torch.float32)
    opened.requires_grad_()
    drawn(GumbelGate(temperature), opened - closed).sum().backward()
    torch.manual_seed(0)
    gumbel = -torch.empty(2, 50, 1).exponential_().log()
    pair = torch.stack([closed + gumbel[1], opened.detach() + gumbel[0]]).requires_grad_()
    own = opened.grad
    soft = torch.softmax(pair / temperature, 0)[1]
    (wanted,) = torch.autograd.grad(soft.sum(), pair)
    # which of the two Gumbel variables belongs to which logit is a matter of convention
    mirrored = torch.sigmoid((opened.detach() - closed + gumbel[1] - gumbel[0]) / temperature)
    other = mirrored * (1 - mirrored) / temperature
    assert own is not None
    assert torch.allclose(own, wanted[1], atol=1e-6) or torch.allclose(own, other, atol=1e-6)


def test_what_is_kept_counts_for_more_where_it_is_inverted() -> None:
    logits = torch.tensor([[-1.0, 1.0]]).expand(20_000, -1)
    found = drawn(GumbelGate(inverted=True), logits)
    assert torch.allclose(found.mean(0), torch.ones(2), atol=0.05)
    chance = torch.sigmoid(logits)
    assert torch.allclose(found[found > 0], (1 / chance)[found > 0])


def test_the_temperature_falls_geometrically() -> None:
    module = to_torch(PROGRAM)
    (made,) = (m for m in module.modules() if isinstance(m, GumbelGate))
    for share, heat in ((0.0, 2.0), (0.5, 1.0), (1.0, 0.5)):
        pace(module, share)
        assert float(made.heat) == pytest.approx(heat)
    assert "y.heat" not in module.state_dict()


def test_no_draw_is_infinite() -> None:
    logits = torch.zeros(1000, 8).requires_grad_()
    drawn(GumbelGate(0.01), logits).sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all()
