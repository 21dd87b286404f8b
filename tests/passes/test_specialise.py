"""Specialise leaves the static network of one decision: it computes what that decision does."""

from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.force import ForceDecisions
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.passes.specialise import Specialise
from hydrafy.runtime.convert import convert
from tests.passes.dynamic import IMAGES, layers, nested

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def program(source: Callable[..., Program]) -> Program:
    return convert(source("resnet8"), "dynk", branches=4, k=2, split="stage2", branch_width=0.5)


def special(program: Program, decisions: Arrays) -> Program:
    return base.run(program.clone(), [DropTraining(), Specialise(decisions)])


def images(program: Program) -> Arrays:
    shape = (3, *dims(program.data_inputs[0]))
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return {program.data_inputs[0].name or "": array}


def check(program: Program, decisions: Arrays, scores: str) -> Program:
    """The specialised program, which computes what the program does with these decisions."""
    found = special(program, decisions)
    forced = base.run(program.clone(), [DropTraining(), ForceDecisions()])
    rows = {name: np.tile(row, (3, 1)) for name, row in decisions.items()}
    given = images(program)
    wanted = Session(forced).run({**given, **rows})[scores]
    np.testing.assert_allclose(Session(found).run(given)[scores], wanted, atol=1e-5)
    return found


@pytest.mark.parametrize("row", [[1, 0, 0, 1], [1, 1, 1, 1], [0, 0, 1, 0]])
def test_a_specialised_network_computes_what_the_decision_does(
    program: Program, row: list[int]
) -> None:
    found = check(program, {"picked": np.array(row, bool)}, "logits")
    parts = {node.name.split(".")[1] for node in found.graph if node.name.startswith("branches.")}
    assert parts - {"sum"} == {str(b) for b in range(4) if row[b]}


@pytest.mark.parametrize("opened", [(), (0,), (1,), (0, 1)])
def test_decisions_of_several_outputs(source: Callable[..., Program], opened: tuple[int]) -> None:
    program = base.run(source("resnet20"), [InsertBypass()])
    names = [v.name for v in program.graph.outputs if program.manifest.role(v.name) == "decision"]
    assert len(names) > 2
    rows = {name: np.array([number in opened]) for number, name in enumerate(names)}
    found = check(program, rows, "logits")
    plain = [node.op_type for node in special(program, dict.fromkeys(names, np.array([1]))).graph]
    kinds = [node.op_type for node in found.graph]
    closed = len(names) - len(opened)
    assert plain.count("Conv") - kinds.count("Conv") == 2 * closed
    assert plain.count("Add") - kinds.count("Add") == closed
    assert plain.count("Relu") - kinds.count("Relu") == 2 * closed  # x is non-negative already
    assert set(names) <= {v.name for v in found.graph.outputs}


@pytest.mark.parametrize("left", [0, 1, 2])
def test_what_lies_behind_an_exit_is_gone(source: Callable[..., Program], left: int) -> None:
    """Its decisions, too, though they are outputs: lowered, nobody who has left gets there."""
    program = base.run(source("resnet20"), [InsertExits(("stage2", "stage3"))])
    rows = {f"exits.{number}.sure": np.array([number == left]) for number in range(2)}
    found = special(program, rows)
    parts = {node.name.split(".")[0] for node in found.graph if node.op_type == "Conv"}
    assert parts - {"conv1"} == {f"layer{stage + 1}" for stage in range(left + 1)}
    told = [v.name for v in found.graph.outputs]
    assert told == ["logits", "exits.0.sure", "exits.1.sure"][: left + 2]
    answer = "logits" if left == 2 else f"exits.{left}.logits"
    given, settings = images(program), program.manifest.runtime_inputs
    patient = {e.name: np.full_like(program.weight(e.name), e.neutral) for e in settings}
    wanted = Session(program).run({**given, **patient})
    np.testing.assert_allclose(
        Session(found).run(given)["logits"], wanted[answer], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("row", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_what_a_closed_gate_leaves_out_of_a_concatenation_is_zero(row: tuple[int, int]) -> None:
    rows = {
        name: np.array([on, 1 - on], bool)
        for name, on in zip(("first", "second"), row, strict=True)
    }
    found = check(layers(), rows, "head.fc")
    convs = {node.name for node in found.graph if node.op_type == "Conv"}
    assert convs == {"stem"} | {n for n, on in zip(("f", "h"), row, strict=True) if on}
    assert Session(found).run({"x": IMAGES[:1]})["head.fc"].shape == (1, 3)


@pytest.mark.parametrize(("outer", "inner"), [(1, 1), (1, 0), (0, 0)])
def test_predicates_that_are_no_outputs_are_given_by_name(outer: int, inner: int) -> None:
    decision = {"outer.on": np.array(bool(outer)), "inner.on": np.array(bool(inner))}
    found = special(nested(), decision)
    convs = {node.name for node in found.graph if node.op_type == "Conv"}
    assert convs == {"stem"} | ({"g"} if outer else set()) | ({"f"} if inner else set())
    asked = {"outer", "inner"} if outer else {"outer"}  # the inner gate is part of the region
    assert {v.name for v in found.graph.outputs} == {"head.fc", *asked}


def test_a_predicate_that_no_decision_gives_is_refused(program: Program) -> None:
    with pytest.raises(ModelError, match=r"branches\.0\.picked.*branches\.0\.selected"):
        base.run(program.clone(), [Specialise({})])
    with pytest.raises(ModelError, match=r"says nothing about 'inner\.on'"):
        special(nested(), {"outer.on": np.array(True)})
