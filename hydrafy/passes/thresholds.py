"""The thresholds of probabilistic gates: one run-time input, with a column for each choice."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.layers import channels
from hydrafy.ir import build
from hydrafy.ir.manifest import RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.passes.lower.regions import Inserter
from hydrafy.passes.settings import each_column, setting

TAU = "tau"
COLUMNS, SHARE, ODDS = "thresholds.columns", "thresholds.share", "thresholds.each"


def thresholds(
    program: Program, default: float, columns: int, meaning: str, *, noise: bool = True
) -> tuple[ir.Value, range]:
    """The run-time input `tau`, a probability for each choice, as log-odds [rows, all columns].

    Its default is [1, columns]; it may be fed with whatever broadcasts to [N, columns]. Log-odds
    of 0 and less are minus infinity, those of 1 and more infinity.

    Args:
        program: what gets it; where it has one already, that grows.
        default: of the new columns.
        columns: how many new ones.
        meaning: what they do.
        noise: whether noise in their place does what training does.

    Returns:
        The log-odds, and which columns are the new ones.
    """
    row = np.full((1, columns), default, np.float32)
    known = program.values().get(ODDS)
    if known is not None:
        return _widened(program, known, row, meaning, noise)
    first = program.graph[0]
    entry = RuntimeInput(TAU, 0.0, 1.0, 0.0, meaning, noise)
    tau = setting(program, entry, row, "bypass")
    to = Inserter(program.graph, first, "thresholds")
    low, high = (to.const(name, np.float32(v)) for name, v in (("low", 0), ("high", 1)))
    share = to.op("Clip", [tau, low, high], "share")
    odds = [
        to.op("Log", [share], "log"),
        to.op("Log", [to.op("Sub", [high, share], "rest")], "rest.log"),
    ]
    bound = to.op("Sub", odds, "odds")
    return each_column(program.graph, first, bound, columns, "thresholds"), range(columns)


def _widened(
    program: Program, odds: ir.Value, row: np.ndarray, meaning: str, noise: bool
) -> tuple[ir.Value, range]:
    """More columns for the thresholds that there are."""
    before, zeros = channels(odds), program.graph.initializers[COLUMNS]
    columns = range(before, before + row.shape[1])
    name = _name(program)
    tau = np.concatenate([program.weight(name), row], axis=1)
    program.set_weight(name, tau)
    program.set_weight(COLUMNS, np.zeros(tau.shape, np.int64))
    zeros.shape = ir.Shape(tau.shape)
    for use in zeros.uses():
        build.infer(use.node)
    odds.shape = ir.Shape(["thresholds", columns.stop])
    manifest = program.manifest
    entries = (_joined(e, meaning, noise) if e.name == name else e for e in manifest.runtime_inputs)
    program.manifest = dataclasses.replace(manifest, runtime_inputs=tuple(entries))
    return odds, columns


def _name(program: Program) -> str:
    """What the run-time input is called that log-odds are computed from."""
    clip = program.values()[SHARE].producer()
    tau = clip.inputs[0] if clip is not None else None
    assert tau is not None
    return tau.name or ""


def _joined(entry: RuntimeInput, meaning: str, noise: bool) -> RuntimeInput:
    """What the manifest says of a run-time input that does one thing more."""
    known = meaning in entry.meaning
    both = entry.meaning if known else f"{entry.meaning}; {meaning}"
    return dataclasses.replace(entry, meaning=both, noise=entry.noise and noise)
