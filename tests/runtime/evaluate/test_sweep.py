"""Sweeps: which values a text stands for."""

import pytest

from hydrafy.errors import OptionError
from hydrafy.runtime.evaluate.sweep import Sweep


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0:0.2:0.05", (0, 0.05, 0.1, 0.15, 0.2)),
        ("0:0.3:0.1", (0, 0.1, 0.2, 0.3)),  # 3 * 0.1 is no 0.3 in binary
        ("-1:1:1", (-1, 0, 1)),
        ("0:1:0.4", (0, 0.4, 0.8, 1)),
        ("0.5:0.5:1", (0.5,)),
        (" 0 : 1e-1 : 5e-2 ", (0, 0.05, 0.1)),
    ],
)
def test_both_ends_are_included(text: str, values: tuple[float, ...]) -> None:
    assert Sweep.parse(f"tau={text}") == Sweep("tau", values)


@pytest.mark.parametrize(
    "text",
    ["", "tau", "tau=", "tau=1", "tau=0:1", "tau=0:1:0.1:3", "=0:1:0.1", "tau=a:1:0.1",
     "tau=0:inf:1", "tau=nan:1:1", "tau=0::1"],
)  # fmt: skip
def test_what_is_no_sweep_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(OptionError, match="write NAME=START:STOP:STEP") as caught:
        Sweep.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [("t=1:0:0.1", "goes nowhere"), ("t=0:1:0", "goes nowhere"), ("t=0:1:-1", "goes nowhere"),
     ("t=0:1:1e-9", "over 1000 values")],
)  # fmt: skip
def test_a_sweep_that_does_not_end_is_refused(text: str, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        Sweep.parse(text)
