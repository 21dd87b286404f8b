"""What classifiers at exits compute: the same as torch's layers with their weights."""

import numpy as np
import pytest
import torch
from torch import nn

from hydrafy.execute.session import Session
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes import fresh
from hydrafy.passes.exits.classifiers import LINEAR, Head, Strided
from hydrafy.passes.fresh import Place
from tests.train.programs import Sketch


def answering(head: Head, *size: int) -> Program:
    """The classifier alone, of images [5, *size] and 7 classes."""
    s = Sketch(("N", 5, *size))
    end = build.op("Identity", [s.x], "end")
    s.graph.append(end)
    y = head.logits(Place(s.graph, end, "exits.0", np.random.default_rng(0)), s.x, 7)
    return s.program(y)


def layers(program: Program, strides: int) -> nn.Module:
    """Torch's layers, with the program's weights."""
    found: list[nn.Module] = []
    for number in range(strides):
        conv = nn.Conv2d(5 if not number else 4, 4, 3, 2, 1, bias=False)
        found += [conv, nn.BatchNorm2d(4), nn.ReLU()]
        state = {"weight": torch.from_numpy(program.weight(f"exits.0.conv.{number}.weight"))}
        conv.load_state_dict(state)
    last = nn.Linear(4 if strides else 5, 7)
    weights = {name: program.weight(f"exits.0.logits.{name}") for name in ("weight", "bias")}
    last.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return nn.Sequential(*found, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last).eval()


@pytest.mark.parametrize(
    ("head", "size", "strides"),
    [
        (LINEAR, (8, 8), 0),
        (Strided(4), (8, 8), 2),
        (Strided(4), (3, 3), 2),
        (Strided(4), (2, 2), 1),
        (Strided(4), (1, 1), 0),
        (Strided(4), (2, 8), 1),
        (Strided(4), (8, 1), 0),
    ],
)
def test_it_strides_twice_or_as_often_as_fits(
    head: Head, size: tuple[int, int], strides: int
) -> None:
    program = answering(head, *size)
    assert [n.op_type for n in program.graph].count("Conv") == strides
    x = np.random.default_rng(1).standard_normal((3, 5, *size)).astype(np.float32)
    wanted = layers(program, strides)(torch.from_numpy(x)).detach().numpy()
    (found,) = Session(program, threads=1).run({"x": x}).values()
    assert wanted.std() > 0.01
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_signals_keep_their_scale() -> None:
    """As by He et al.: the square of what a layer computes has the mean of its input's square."""
    s = Sketch(("N", 32, 16, 16))
    place = Place(s.graph, s.op("Identity", [s.x], "end").producer(), "p", np.random.default_rng(0))
    y = fresh.convolved(place, s.x, "", 64)
    x = np.random.default_rng(1).standard_normal((2, 32, 16, 16)).astype(np.float32)
    (found,) = Session(s.program(y), threads=1).run({"x": x}).values()
    assert np.square(found).mean() == pytest.approx(1, rel=0.2)
