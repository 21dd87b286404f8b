"""Passes are verified and journalled one by one, and a defect names the pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest

from hydrafy.errors import ModelError, VerifyError
from hydrafy.ir.manifest import Entry, LossTerm
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.base import Pass
from hydrafy.passes.declare import Declare
from tests.train.programs import dynamic


@dataclass(frozen=True)
class Note(Pass):
    name: ClassVar[str] = "note"
    notes: tuple[str, ...] = ()

    def apply(self, program: Program) -> list[str]:
        return list(self.notes)


@dataclass(frozen=True)
class Break(Pass):
    name: ClassVar[str] = "break"

    def apply(self, program: Program) -> list[str]:
        program.graph[0].outputs[0].name = "sum"
        return []


@dataclass(frozen=True)
class Fail(Pass):
    name: ClassVar[str] = "fail"
    error: Exception

    def apply(self, program: Program) -> list[str]:
        raise self.error


def test_what_passes_say_is_kept_in_order() -> None:
    program = dynamic()
    seen: list[str] = []
    found = base.run(
        program,
        [Note(("a", "b")), Note(), Note(("c",))],
        lambda item, p: seen.append(f"{item.name} {p is program}"),
    )
    assert found is program
    assert program.manifest.journal == (Entry("note", ("a", "b")), Entry("note", ("c",)))
    assert seen == ["note True"] * 3


def test_a_broken_program_is_noticed_at_once() -> None:
    with pytest.raises(VerifyError, match="after break: two values are named 'sum'"):
        base.run(dynamic(), [Note(), Break(), Fail(RuntimeError("not reached"))])


def test_a_defect_names_the_pass_and_those_before() -> None:
    with pytest.raises(
        VerifyError, match="pass fail failed after note, note: RuntimeError: oh"
    ) as caught:
        base.run(dynamic(), [Note(), Note(), Fail(RuntimeError("oh"))])
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(ModelError, match=r"^it is not possible$"):
        base.run(dynamic(), [Fail(ModelError("it is not possible"))])


def test_a_defect_between_the_passes_is_one_of_ours_too() -> None:
    def passes() -> Iterator[Pass]:
        yield Note()
        raise KeyError("oh")

    with pytest.raises(VerifyError, match="the next pass failed after note: KeyError: 'oh'"):
        base.run(dynamic(), passes())


def test_declare_writes_what_the_recipe_is() -> None:
    program = dynamic()
    losses = (LossTerm("final", "head.fc", 1.0),)
    base.run(program, [Declare("mine", {"k": 2}, losses, ((0,), (1,)))])
    found = program.manifest
    assert (found.recipe, found.options, found.losses, found.partition) == (
        "mine",
        {"k": 2},
        losses,
        ((0,), (1,)),
    )
    assert found.outputs == dynamic().manifest.outputs
