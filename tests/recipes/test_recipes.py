"""Recipes are found by their file's name; options are parsed against their types."""

import sys
from pathlib import Path

import pytest

from hydrafy import recipes
from hydrafy.errors import OptionError
from hydrafy.ir.program import Program
from hydrafy.recipes.dynk import Dynk
from hydrafy.runtime.convert import convert
from tests.train.programs import Sketch

SIXTH = '''
"""A sixth recipe: names the network's parts and no more."""
from dataclasses import dataclass
from typing import ClassVar
from hydrafy.passes.parts import NameParts
from hydrafy.recipes.base import Recipe, option

@dataclass(frozen=True)
class Sixth(Recipe):
    """Its options."""
    name: ClassVar[str] = "sixth"
    source: ClassVar[str] = "nowhere"
    entry: str = option("relu", "where the stem ends")

    def passes(self, program, measured=None):
        yield NameParts(self.entry, "last")
'''


def test_dynk_is_found() -> None:
    assert "dynk" in recipes.names() and "base" not in recipes.names()
    assert recipes.find("dynk") is Dynk


def test_an_unknown_recipe_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"no recipe 'dynx': did you mean 'dynk'\?"):
        recipes.find("dynx")
    with pytest.raises(OptionError, match="no recipe 'base'"):
        recipes.find("base")


@pytest.fixture
def sixth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "sixth.py").write_text(SIXTH)
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "hydrafy.recipes.sixth", raising=False)
    return "sixth"


def small() -> Program:
    s = Sketch(("N", 3, 6, 6))
    first = s.op("Relu", [s.conv(s.x, "conv", 4, 3)], "relu")
    last = s.op("Relu", [s.conv(first, "more", 4, 3)], "last")
    return s.program(s.linear(s.pooled(last, "head"), "fc", 3))


def test_a_recipe_is_one_new_file(sixth: str) -> None:
    assert sixth in recipes.names()
    assert [o.name for o in recipes.find(sixth).options()] == ["entry"]
    program = convert(small(), sixth)
    assert {n.name.split(".")[0] for n in program.graph} == {"stem", "tail", "head"}
    with pytest.raises(
        OptionError, match="recipe sixth has no option 'entri': did you mean 'entry'"
    ):
        convert(small(), sixth, entri="conv")


def test_options_are_listed_with_types_and_papers() -> None:
    listed = {o.name: o for o in Dynk.options()}
    assert (listed["branches"].type, listed["branches"].default) == ("int", 20)
    assert (listed["tau"].type, listed["tau"].default) == ("float", 0.08)
    assert listed["split"].type == "str"
    assert "20" in listed["branches"].paper
    assert all(o.help for o in listed.values())


GIVEN = [
    ({"branches": "8", "k": "2"}, {"branches": 8, "k": 2}),
    ({"branches": 8, "k": 2.0}, {"branches": 8, "k": 2}),
    ({"tau": "0.5"}, {"tau": 0.5}),
    ({"tau": 1}, {"tau": 1.0}),
    ({"tau": "1e-2"}, {"tau": 0.01}),
    ({"split": "stage2.2", "combiner": "dense"}, {"split": "stage2.2", "combiner": "dense"}),
]


@pytest.mark.parametrize(("given", "wanted"), GIVEN, ids=str)
def test_text_and_values_are_options(given: dict[str, object], wanted: dict[str, object]) -> None:
    found = Dynk.parse(given)
    assert found == Dynk(**wanted)
    for name, value in wanted.items():
        assert type(getattr(found, name)) is type(value)


REFUSED = [
    ({"branch": 3}, r"recipe dynk has no option 'branch': did you mean 'branches'\?"),
    ({"branchs_width": 3}, r"did you mean 'branch_width'\?"),
    ({"branches": "many"}, "option branches must be a whole number, not 'many'"),
    ({"branches": "2.5"}, "option branches must be a whole number, not '2.5'"),
    ({"branches": 2.5}, "option branches must be a whole number, not 2.5"),
    ({"branches": True}, "option branches must be a whole number, not True"),
    ({"branches": None}, "option branches must be a whole number, not None"),
    ({"branches": "inf"}, "option branches must be a whole number, not 'inf'"),
    ({"branches": "nan"}, "option branches must be a whole number, not 'nan'"),
    ({"tau": "high"}, "option tau must be a number, not 'high'"),
    ({"tau": [0.1]}, "option tau must be a number"),
    ({"split": 3}, "option split must be a word, not 3"),
    ({"branches": 0}, "branches=0 is too few"),
    ({"k": 0}, "k=0 must be between 1 and the 20 branches"),
    ({"branches": 3, "k": 4}, "k=4 must be between 1 and the 3 branches"),
    ({"tau": 1.5}, "tau=1.5 is no probability"),
    ({"tau": -0.1}, "tau=-0.1 is no probability"),
    ({"tau": "nan"}, "tau=nan is no probability"),
    ({"branch_width": 0}, r"branch_width=0\.0 must be above 0"),
    ({"branch_width": 1.01}, r"branch_width=1\.01 must be above 0 and at most 1"),
    ({"gate_width": -1}, "gate_width=-1.0 must be above 0"),
    ({"gate_pool": 0}, "gate_pool=0 must be 1"),
    ({"gate_depth": -1}, "gate_depth=-1 must be 0"),
    ({"combiner": "dens"}, r"combiner=dens is not known: did you mean 'dense'\?"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED, ids=lambda v: str(v)[:30])
def test_a_wrong_option_is_refused_in_one_sentence(given: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        Dynk.parse(given)
    assert "\n" not in str(caught.value) and "dynk" in str(caught.value)
