"""Spent: the work of a network of any stage, of a dynamic one as lowering would have it done."""

from hydrafy.analysis.predication.executed import Work, work
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.passes.lower.merge import Merge


def spent(program: Program) -> tuple[Work, ...]:
    """The MACs of a program by the conditions under which they are spent.

    A dynamic program spends what is left of it when Selects have been merged: its own file runs
    both sides of everything, in any case.

    Raises:
        ModelError: the program branches, and does not say when.
    """
    if program.stage != "dynamic":
        return work(program)
    return work(base.run(program.clone(), [DropTraining(), Merge()]))
