"""Every target and precision of one network is proven before it is returned."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.analysis.latency import typical
from hydrafy.errors import DataError, ModelError, OptionError
from hydrafy.execute.machine import this_machine
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.runtime.convert import convert
from hydrafy.runtime.lower import Lowering, lower, lower_program

BLOCKED = this_machine().block > 1


@pytest.fixture(scope="module")
def dynamic(source: Callable[..., Program]) -> Program:
    return convert(source("resnet8"), "dynk", branches=3, k=2, split="stage2")


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, 16, 16)).astype(np.float32)


@pytest.mark.parametrize(
    ("how", "ifs"),
    [
        (Lowering(), True),
        (Lowering(single=True), True),
        (Lowering("dense"), False),
        pytest.param(
            Lowering("native"),
            True,
            marks=pytest.mark.skipif(not BLOCKED, reason="no blocked kernels here"),
        ),
        pytest.param(
            Lowering("native", single=True),
            True,
            marks=pytest.mark.skipif(not BLOCKED, reason="no blocked kernels here"),
        ),
        (Lowering(precision="float16"), True),
        (Lowering(precision="float16", single=True), True),
        (Lowering(precision="int8", single=True), True),
        (Lowering(precision="int8"), True),
        (Lowering("dense", "float16"), False),
        (Lowering("dense", "int8"), False),
    ],
    ids=lambda how: (
        f"{how.target}-{how.precision}{'-1' * how.single}" if isinstance(how, Lowering) else ""
    ),
)
def test_each_form_is_proven(dynamic: Program, how: Lowering, ifs: bool) -> None:
    given = images(16) if how.precision == "int8" else None
    lowered, checked = lower_program(dynamic, how, images=given)
    assert checked.worst <= checked.limit and checked.reached == 3
    assert any(node.op_type == "If" for node in lowered.graph) == ifs
    parts = np.split(images(5), 5) if how.single else [images(5)]
    session = Session(lowered)
    found = np.concatenate([session.run({"input": x}, ["logits"])["logits"] for x in parts])
    wanted = Session(dynamic).run({"input": images(5)}, ["logits"])["logits"]
    allowed = {"float32": 1e-4, "float16": 2e-2, "int8": 0.3}[how.precision]
    assert np.abs(found - wanted).max() <= allowed * np.abs(wanted).max()


def test_regions_that_do_not_pay_are_not_made(source: Callable[..., Program]) -> None:
    """Branches of 4x4 places: what one takes is less than what it takes to leave it out."""
    small = convert(source("resnet8"), "dynk", branches=3, k=2, split="stage3")
    everywhere, checked = lower_program(small)
    told = [note for entry in everywhere.manifest.journal for note in entry.notes]
    assert sum("stays dense: its region would save" in note for note in told) == 3
    assert any(note.endswith("foreseen for a typical machine") for note in told)
    assert not any(node.op_type == "If" for node in everywhere.graph) and checked.reached == 3
    mine = dataclasses.replace(typical(), node={**typical().node, "spatial": 100.0}, processor="me")
    here, _ = lower_program(small, latency=mine)
    assert sum(node.op_type == "If" for node in here.graph) == 3
    assert any("foreseen for me" in note for e in here.manifest.journal for note in e.notes)


def test_what_makes_no_sense_is_refused(dynamic: Program, source: Callable[..., Program]) -> None:
    with pytest.raises(OptionError, match=r"no target 'nativ'.*'native'"):
        Lowering("nativ")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"no precision 'int9'.*'int8'"):
        Lowering(precision="int9")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"native.*not in int8"):
        Lowering("native", "int8")
    with pytest.raises(DataError, match="--data"):
        lower(dynamic, Lowering(precision="int8"))
    with pytest.raises(ModelError, match="static"):
        lower(source("resnet8"))
    with pytest.raises(ModelError, match="lowered already"):
        lower(lower_program(dynamic)[0])
