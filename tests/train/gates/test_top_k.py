import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from hydrafy.train.gates.top_k import TopKGate
from hydrafy.train.importer import to_torch
from tests.train.programs import Sketch, agree

GATES = 6


def gate(k: int) -> Program:
    s = Sketch(("N", GATES))
    tau = s.weight("tau", np.zeros((1, 1), np.float32), overridable=True)
    tau.shape = type(s.x.shape)(["rows", "gates"])
    return s.program(s.op("TopKGate", [s.x, tau], "y", k=k), manifest=Manifest(stage="dynamic"))


PROGRAMS = {k: gate(k) for k in (1, 2, 4, GATES)}
MODULES = {k: to_torch(p).eval() for k, p in PROGRAMS.items()}
SESSIONS = {k: Session(p, threads=1) for k, p in PROGRAMS.items()}
few = st.sampled_from([0.0, 0.25, 0.25000003, 0.5, 1.0])  # few values: many ties


@settings(deadline=None, max_examples=200)
@given(
    k=st.sampled_from(sorted(PROGRAMS)),
    rows=st.lists(st.lists(few, min_size=GATES, max_size=GATES), max_size=5),
    tau=st.one_of(
        few.map(lambda v: [[v]]),
        st.lists(few, min_size=GATES, max_size=GATES).map(lambda v: [v]),
    ),
)
def test_in_eval_mode_it_picks_what_onnxruntime_picks(k: int, rows: list, tau: list) -> None:
    scores = np.array(rows, np.float32).reshape(-1, GATES)
    limit = np.array(tau, np.float32)
    wanted = SESSIONS[k].run({"x": scores, "tau": limit})["y"]
    MODULES[k].tau = torch.from_numpy(limit)
    have = MODULES[k](torch.from_numpy(scores))["y"].numpy()
    np.testing.assert_array_equal(have, wanted)


def test_the_default_of_tau_is_the_programs() -> None:
    agree(gate(2))


def test_in_training_tau_plays_no_part() -> None:
    picked = TopKGate(2)(torch.tensor([[0.2, 0.5, 0.3, 0.3]]), torch.tensor([[0.9]]))
    assert picked.tolist() == [[False, True, True, False]]


def test_below_tau_the_best_one_stays() -> None:
    picked = TopKGate(2).eval()(torch.tensor([[0.2, 0.5, 0.3, 0.3]]), torch.tensor([[0.9]]))
    assert picked.tolist() == [[False, True, False, False]]


@pytest.mark.parametrize("training", [True, False])
def test_ties_are_decided_alike_under_autocast(training: bool) -> None:
    scores, tau = torch.tensor([[0.5, 0.5, 0.500001]], requires_grad=True), torch.zeros(1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        picked = TopKGate(1).train(training)(scores, tau)
    assert picked.tolist() == [[False, False, True]]
    assert not picked.requires_grad


def test_the_threshold_may_be_set_in_place() -> None:
    module = to_torch(PROGRAMS[2]).eval()
    scores = torch.tensor([[0.1, 0.4, 0.3, 0.2, 0.0, 0.0]])
    assert int(module(scores)["y"].sum()) == 2
    module.tau.fill_(0.35)
    assert int(module(scores)["y"].sum()) == 1
