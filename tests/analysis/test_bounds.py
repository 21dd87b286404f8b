"""The columns of run-time inputs that gates read, whatever stands between the two."""

from collections.abc import Callable

from hydrafy.analysis.bounds import Bound, bound
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.runtime.convert import convert

Source = Callable[..., Program]


def test_every_choice_of_a_gate_has_its_column(source: Source) -> None:
    program = base.run(source("resnet20"), [InsertBypass(per_stage=True)])
    found = [bound(program, node) for node in program.graph if ops.is_gate(node)]
    assert found == [Bound("tau", tuple(range(at, at + 3))) for at in (0, 3, 6)]


def test_branches_share_a_column(source: Source) -> None:
    program = convert(source("resnet20"), "dynk", branches=4, k=2)
    (gate,) = (node for node in program.graph if ops.is_gate(node))
    assert bound(program, gate) == Bound("tau", (0,))


def test_what_images_say_is_no_bound(source: Source) -> None:
    program = base.run(source("resnet8"), [InsertBypass()])
    (gate, *_) = (node for node in program.graph if ops.is_gate(node))
    gate.replace_input_with(1, gate.inputs[0])
    assert bound(program, gate) is None
