"""Fits the latency model on this machine, from profiles of some networks of the zoo."""

from __future__ import annotations

import dataclasses
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from hydrafy.analysis.latency import LatencyModel
from hydrafy.analysis.loads import COMPUTE, KINDS, Load, convolution, loads
from hydrafy.execute.profile import CONTROL, Event, profile
from hydrafy.execute.session import Session
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.lower.batchnorm import FoldBatchNorm
from hydrafy.runtime.machine import processor
from hydrafy.runtime.read import read

RUNS = 15  # of each network at each batch size, profiled, and as many more timed
BLOCKED = "_nchwc"  # in the name of a convolution that runs in blocks
WARM_UP = 3  # of these
CALM_SHARE = 25  # percentile of a node's times: what disturbs one only adds to it
ROUNDED = 0.5  # microseconds: onnxruntime's clock rounds down to whole ones
PROFILING = 3.0  # microseconds that it may add to a node, at most
SMALL = 5.0  # microseconds that count as much as all of a node's time

Progress = Callable[[str, float, float], None]


@dataclass(frozen=True)
class Sample:
    """A network of the zoo, what it is made with, and the batch sizes to run it at."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()
    batches: tuple[int, ...] = (1, 8)
    bypassed: bool = False

    def program(self) -> Program:
        """The network with random weights; lowered, if it has gates, which are all open."""
        from hydrafy import zoo

        with tempfile.TemporaryDirectory(prefix="hydrafy-") as folder:
            file = Path(folder) / "network.onnx"
            program = read(zoo.export(self.name, file, settled=False, **dict(self.options)))
        if not self.bypassed:
            return base.run(program, [FoldBatchNorm()])
        return base.run(program, [InsertBypass(tau=0), *lower.pipeline()])


SAMPLES = (
    Sample("resnet20", (("shortcut", "B"),)),
    Sample("resnet20", (("width", 32),)),
    Sample("resnet20", (("width", 64), ("shortcut", "B"))),
    Sample("resnet56", (("width", 8),)),
    Sample("resnet20", bypassed=True),
    Sample("densenet22"),
    Sample("resnext20_2x32d"),
    Sample("ressep", (("size", 96),)),
    Sample("resnet18", (("size", 128),), (1, 4)),
    Sample("resnet50", (("size", 128),), (1, 4)),
)
"""What the model is fitted on: all kinds of nodes, small ones and large ones."""


@dataclass(frozen=True)
class Measured:
    """A network at one batch size: microseconds of its nodes, and milliseconds of a run.

    The latter are of the processor, which is as long on a machine that does nothing else.
    """

    program: Program
    batch: int
    nodes: tuple[tuple[Event, float], ...]
    milliseconds: float


def fit(
    samples: Sequence[Sample] = SAMPLES,
    *,
    progress: Progress = lambda what, done, of: None,
) -> LatencyModel:
    """Measures networks on one thread, and finds what a node, a MAC and a byte take.

    Args:
        samples: the networks.
        progress: called with what is going on, how much of it is done, and of how much.
    """
    found = []
    for number, sample in enumerate(samples):
        progress("measuring networks", number, len(samples))
        program = sample.program()
        found += [measure(program, batch) for batch in sample.batches]
    return fitted(found)


def measure(program: Program, batch: int) -> Measured:
    """Runs a network on noise: some runs profiled, as many timed."""
    shape = (batch, *dims(program.data_inputs[0]))
    noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    feeds = {program.data_inputs[0].name or "": noise}
    spent: dict[tuple[str, tuple[str, ...]], list[tuple[Event, float]]] = {}
    for trace in profile(program, [feeds] * RUNS)[WARM_UP:]:
        for event in trace.events:
            each = spent.setdefault((event.name, event.regions), [])
            each.append((event, event.microseconds + ROUNDED))
    nodes = [(each[0][0], _calm([t for _, t in each])) for each in spent.values()]
    session = Session(program, threads=1)
    taken = []
    for _ in range(RUNS):
        start = time.process_time()
        session.run(feeds)
        taken.append((time.process_time() - start) * 1e3)
    return Measured(program, batch, tuple(nodes), _calm(taken[WARM_UP:]))


def _calm(times: Sequence[float]) -> float:
    return float(np.percentile(times, CALM_SHARE))


def fitted(found: Sequence[Measured]) -> LatencyModel:
    """Least squares of relative errors: first of nodes, then, with that, of whole runs."""
    from scipy.optimize import lsq_linear, nnls

    block = block_of(found)
    rows, times = [], []
    for one in found:
        for event, spent in one.nodes:
            rows.append(_features(load_of(event, block)))
            times.append(spent)
    weight = 1 / (np.array(times) + SMALL)
    values, _ = nnls(np.array(rows) * weight[:, None], np.array(times) * weight)
    node, mac = values[: len(KINDS)], values[len(KINDS) : -2]
    alone = LatencyModel(
        node=dict(zip(KINDS, node.tolist(), strict=True)),
        mac=dict(zip(COMPUTE, mac.tolist(), strict=True)),
        byte=float(values[-2]),
        weight=float(values[-1]),
        between=0.0,
        scale=1.0,
        run=0.0,
        block=block,
        onnxruntime=onnxruntime.__version__,
        processor=processor(),
    )
    counts = [sum(load.kind in KINDS for _, load in loads(one.program, block)) for one in found]
    sums = [alone.predict(one.program, batch=one.batch) * 1e3 for one in found]
    wall = np.array([one.milliseconds for one in found]) * 1e3
    columns = np.array([sums, counts, np.ones(len(found))]).T / wall[:, None]
    bounds = ([0.0, -PROFILING, 0.0], np.inf)
    scale, between, run = lsq_linear(columns, np.ones(len(found)), bounds).x.tolist()
    return dataclasses.replace(alone, scale=scale, between=between, run=run)


def block_of(found: Sequence[Measured]) -> int:
    """How many channels a block of onnxruntime's layout has here: 16 with AVX-512, else 8."""
    blocked = [e for one in found for e, _ in one.nodes if e.op == "Conv" and BLOCKED in e.name]
    kernels = [event.inputs[1] for event in blocked]  # filled up to whole blocks
    return 16 if all(kernel[0] % 16 == 0 for kernel in kernels) else 8


def _features(load: Load) -> list[float]:
    which = [float(load.kind == kind) for kind in KINDS]
    spent = [load.macs * (load.kind == kind) for kind in COMPUTE]
    return [*which, *spent, load.bytes, load.weights]


def load_of(event: Event, block: int) -> Load:
    """What a node did that was profiled, from the shapes that it saw; all images together."""
    moved = 4.0 * sum(map(math.prod, (*event.inputs[:1], *event.outputs)))
    if event.op in ("Conv", "FusedConv"):
        kernel = event.inputs[1]
        macs = math.prod(event.outputs[0]) * math.prod(kernel[1:])
        moved += 4.0 * sum(math.prod(shape) for shape in event.inputs[3:])  # what is added
        kind = convolution(event.inputs[0][1], kernel, block)
        return Load(kind, macs, moved, 4.0 * math.prod(kernel))
    if event.op in ("Gemm", "MatMul", "FusedGemm"):
        inner = event.inputs[0][-1]
        columns = event.outputs[0][-1]
        macs = math.prod(event.outputs[0]) * inner
        return Load("matrix", macs, moved, 4.0 * inner * columns)
    moved += 4.0 * sum(map(math.prod, event.inputs[1:]))
    if event.op in ("ReorderInput", "ReorderOutput"):
        return Load("layout", bytes=moved)
    if event.op in CONTROL:
        return Load("control")
    if event.op in ("GatherND", "ScatterND", "Compress"):
        return Load("region", bytes=moved)
    if event.op in ops.VIEWS or event.op == "Shape":
        return Load("view")
    pool = event.op in ops.GLOBAL or event.op in ("AveragePool", "MaxPool")
    return Load("pool" if pool else "copy", bytes=moved)
