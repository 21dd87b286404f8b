"""What control flow costs besides time: memory, session start, and lowering itself."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.lowering import subjects
from benchmarks.lowering.contest import Row, Settings
from hydrafy.analysis.latency import typical
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.runtime.convert import convert
from hydrafy.runtime.lower import lower_program

MEMORY, START = 1.25, 2.0
SECONDS = 10.0

VARIANTS = (("portable", False), ("portable", True), ("native", False))
"""Forms, and whether their weights lie in a file beside them."""

CHILD = """
import sys
import numpy as np
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = 1, 3
for file in sys.argv[2:]:
    session = onnxruntime.InferenceSession(file, options)
    first = session.get_inputs()[0]
    x = np.zeros([int(sys.argv[1]), *first.shape[1:]], np.float32)
    for _ in range(3):
        session.run(None, {first.name: x})
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(1024 * int(peak))
"""


def memory(name: str, how: Settings) -> list[Row]:
    """Peak memory of a process that loads a network and runs it, that of one without taken off."""
    static = subjects.source(name)
    gated, found = subjects.block_gates(static), []
    with tempfile.TemporaryDirectory() as text:
        folder, alone = Path(text), _peak(1)
        plain = base.run(static.clone(), [lower.FoldBatchNorm()])
        rival = _saved(plain, folder / "static.onnx")
        for form, external in VARIANTS:
            for size in (1, 32):
                program = subjects.lowered(gated, form, single=size == 1)
                file = _saved(program, folder / f"{form}{size}{external}.onnx", external=external)
                mine, other = (_peak(size, one) - alone for one in (file, rival))
                case = f"{name}, every block gated, peak memory at batch {size}"
                kind = _kind(form, external=external)
                found.append(_row(case, kind, mine / other, MEMORY, mine / 1e6, other / 1e6, "MB"))
    return found


def start(name: str, how: Settings) -> list[Row]:
    """Opening a session: every block gated against the static net, branches against the dense."""
    static = subjects.source(name, classes=1000)
    gated = subjects.block_gates(static)
    plain = base.run(static.clone(), [lower.FoldBatchNorm()])
    branched = convert(static, "dynk", branches=20, k=4)
    found = []
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for what, program, rival in (
            ("every block gated", gated, plain),
            ("20 branches", branched, branched),
        ):
            other = _saved(rival, folder / f"{what}.onnx")
            for form, external in VARIANTS:
                low = subjects.lowered(program, form, single=True)
                file = _saved(low, folder / f"{what} {form} {external}.onnx", external=external)
                mine, its = _opened(file, other, how.repeats)
                case = f"{name}, {what}, session start"
                kind = _kind(form, external=external)
                found.append(_row(case, kind, mine / its, START, 1e3 * mine, 1e3 * its, "ms"))
    return found


def lowering(name: str, how: Settings) -> list[Row]:
    """Seconds that lowering takes with every block gated, verification included."""
    gated, taken = base.run(subjects.source(name), [InsertBypass()]), []
    for _ in range(3):
        begin = time.perf_counter()
        lowered, _ = lower_program(gated, latency=typical())
        taken.append(time.perf_counter() - begin)
    middle, count = statistics.median(taken), sum(n.op_type == "If" for n in lowered.graph)
    spread = (middle / SECONDS, min(taken) / SECONDS, max(taken) / SECONDS)
    case = f"{name}, {count} gates, lowering and proof"
    return [Row(case, "portable", spread, 1.0, f"{middle:.1f} / {SECONDS:.0f} s")]


def _saved(program: Program, file: Path, *, external: bool = False) -> Path:
    return program.save(file, force=True, inline=0 if external else None)


def _kind(form: str, *, external: bool) -> str:
    return f"{form}, external data" if external else form


def _peak(size: int, *files: Path) -> float:
    """Bytes; the median of some processes."""
    command = [sys.executable, "-c", CHILD, str(size), *map(str, files)]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(3)]
    return statistics.median(int(run.stdout) for run in runs)


def _opened(one: Path, two: Path, repeats: int) -> tuple[float, float]:
    """Seconds to open each of two files, medians, in turn."""
    taken: dict[Path, list[float]] = {one: [], two: []}
    for _ in range(max(repeats // 4, 5)):
        for file, spent in taken.items():
            begin = time.perf_counter()
            Session(file, threads=1)
            spent.append(time.perf_counter() - begin)
    return statistics.median(taken[one]), statistics.median(taken[two])


def _row(
    case: str, form: str, found: float, target: float, mine: float, other: float, unit: str
) -> Row:
    return Row(case, form, (found, found, found), target, f"{mine:.0f} / {other:.0f} {unit}")
