"""A network that answers several times has its prediction first, then what comes before."""

from collections.abc import Callable
from itertools import permutations

import pytest

from hydrafy.analysis.answers import answers
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.exits.attach import AttachClassifiers
from hydrafy.passes.normalise.answers import OrderAnswers
from tests.train.programs import Sketch

Source = Callable[..., Program]


@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_the_deepest_answer_comes_first(source: Source, order: tuple[int, ...]) -> None:
    program = source("msdnet", exits=4)
    assert [v.name for v in program.graph.outputs] == ["exit4", "exit1", "exit2", "exit3"]
    program.graph.outputs[:] = [program.graph.outputs[place] for place in order]
    ordered = base.run(program, [OrderAnswers()])
    assert [one.output.name for one in answers(ordered)] == ["exit1", "exit2", "exit3", "exit4"]
    assert ordered.graph.outputs[0].name == "exit4"


def test_an_exit_that_costs_more_than_what_follows_is_still_early(source: Source) -> None:
    """What classifiers cost does not count, unless nothing else tells two answers apart."""
    program = base.run(source("resnet20"), [AttachClassifiers(("stage1.2", "stage3"))])
    names = [one.output.name for one in answers(program)]
    program.graph.outputs[:] = list(program.graph.outputs)[::-1]
    ordered = base.run(program, [OrderAnswers()])
    assert [one.output.name for one in answers(ordered)] == names


def test_other_outputs_stay_as_they_are() -> None:
    s = Sketch()
    features = s.op("Relu", [s.conv(s.x, "conv", 8, 3)], "relu")
    small, large = (s.linear(s.pooled(features, f"p{n}"), f"fc{n}", n) for n in (2, 5))
    program = base.run(s.program(large, small), [OrderAnswers()])
    assert [v.name for v in program.graph.outputs] == [large.name, small.name]
