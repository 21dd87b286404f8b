"""Every target and precision of one network is proven before it is returned."""

from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.errors import DataError, ModelError, OptionError
from hydrafy.execute.machine import this_machine
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.runtime.convert import convert
from hydrafy.runtime.lower import Lowering, lower, lower_program

BLOCKED = this_machine().block > 1


@pytest.fixture(scope="module")
def dynamic(source: Callable[..., Program]) -> Program:
    return convert(source("resnet8"), "dynk", branches=3, k=2, split="stage3")


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
