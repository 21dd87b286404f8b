"""Every family of networks goes the whole road: read, converted, trained on, lowered, equal."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from hydrafy.analysis.anatomy import anatomy
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.runtime.convert import convert, report
from hydrafy.runtime.lower import lower_program
from hydrafy.train.importer import to_torch

FAMILIES = [
    ("resnet8", {"shortcut": "B"}),
    ("preact_resnet8", {}),
    ("resnext11", {"cardinality": 4, "base_width": 8}),
    ("wrn10_2", {}),
    ("densenet22", {"growth": 4}),
    ("ressep", {"classes": 10}),
]


@pytest.mark.parametrize(("name", "options"), FAMILIES, ids=str)
def test_the_whole_road(
    source: Callable[..., Program], name: str, options: dict[str, object]
) -> None:
    program = source(name, **options)
    split = anatomy(program).stages[-1].name
    full = convert(program, "dynk", split=split, branches=2, k=2, branch_width=1.0)
    assert report(program, full).preserved
    made = convert(program, "dynk", split=split, branches=4, k=2, branch_width=0.5)
    lowered, checked = lower_program(made)
    assert checked.reached == 4
    shape = program.data_inputs[0].shape
    assert shape is not None
    x = np.random.default_rng(0).standard_normal((5, *shape[1:])).astype(np.float32)
    feed = program.data_inputs[0].name or ""
    wanted = Session(made).run({feed: x}, ["logits", "picked"])
    module = to_torch(made).eval()
    with torch.no_grad():
        found = module(torch.from_numpy(x))
    np.testing.assert_array_equal(found["picked"].numpy(), wanted["picked"])
    scale = np.abs(wanted["logits"]).max()
    assert np.abs(found["logits"].numpy() - wanted["logits"]).max() <= 1e-4 * scale
    again = Session(lowered).run({feed: x[::-1].copy()}, ["logits"])["logits"][::-1]
    assert np.abs(again - wanted["logits"]).max() <= 1e-4 * scale
    module.train()(torch.from_numpy(x))["logits"].sum().backward()
    reached = [p.grad is not None for n, p in module.named_parameters() if "branches." in n]
    assert any(reached)


def test_a_narrow_dense_branch_keeps_part_of_each_layer(source: Callable[..., Program]) -> None:
    """Each dense layer adds 4 channels; at half the width its copy adds 2 to the same entry."""
    program = source("densenet22", growth=4)
    made = convert(program, "dynk", split="stage3.1", branches=4, k=2, branch_width=0.5)
    widths = [
        node.outputs[0].shape[1]
        for node in made.graph
        if node.op_type == "Concat" and (node.name or "").startswith("branches.0.")
    ]
    assert np.diff(widths).tolist() == [2] * (len(widths) - 1)
