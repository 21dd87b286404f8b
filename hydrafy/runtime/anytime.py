"""The dynamic network behind a lowered one: with a budget, if it was lowered with one."""

from __future__ import annotations

from hydrafy.analysis.exits import exits
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.anytime import Anytime


def behind(lowered: Program, dynamic: Program) -> Program:
    """What a program was lowered from, given the dynamic one of its file.

    Of any other two programs the second one, as it is.
    """
    known = {entry.name for entry in dynamic.manifest.runtime_inputs}
    added = [e for e in lowered.manifest.runtime_inputs if e.name not in known]
    if dynamic.stage != "dynamic" or not added or not exits(dynamic).early:
        return dynamic
    return base.run(dynamic.clone(), [Anytime()])
