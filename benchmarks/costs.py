"""What hydrafy itself costs: start, conversion, file size, session start; reading and its memory.

python -m benchmarks.costs
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hydrafy import zoo
from hydrafy.execute.session import Session
from hydrafy.runtime.convert import convert
from hydrafy.runtime.lower import lower_program


def main() -> None:
    """Measures and prints one table."""
    table = Table("what", "measured", "target")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        source = zoo.export("resnet50", folder / "resnet50.onnx", seed=0)
        program = str(Path(sys.executable).parent / "hydrafy")
        command = [program, "--help"]
        start = _seconds(lambda: subprocess.run(command, check=True, capture_output=True), 7)
        table.add_row("hydrafy --help", f"{start:.2f} s", "0.4 s")
        out = folder / "dynk.onnx"
        command = [program, "convert", str(source), "--recipe", "dynk"]
        command += ["-o", str(out), "--force"]
        spent = _seconds(lambda: subprocess.run(command, check=True, capture_output=True), 3)
        table.add_row("convert ResNet-50, whole command", f"{spent:.1f} s", "10 s")
        dynamic = convert(source, "dynk")
        begin = time.perf_counter()
        lowered, _ = lower_program(dynamic)
        table.add_row("lower ResNet-50, verified", f"{time.perf_counter() - begin:.1f} s", "")
        deploy = lowered.save(folder / "deploy.onnx")
        size = deploy.stat().st_size / lowered.weight_bytes()
        table.add_row("bytes of the lowered file / of its weights", f"{size:.3f}", "1.05")
        dense, low = [], []
        for _ in range(5):
            dense.append(_seconds(lambda: Session(out), 1))
            low.append(_seconds(lambda: Session(deploy), 1))
        share = np.median(low) / np.median(dense)
        text = f"{share:.2f} ({np.median(low):.2f} s / {np.median(dense):.2f} s)"
        table.add_row("session start, lowered / dense", text, "2")
        _reading(table, folder)
    Console().print(table)


BY_ONNX = """
model = onnx.load(source)
model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
onnx.save(model, target)
"""
BY_HYDRAFY = """
program = hydrafy.convert(hydrafy.read(source), "dynk")
converted = time.perf_counter()
program.save(target)
"""
CHILD = """
import sys, time
import {module}
source, target = sys.argv[1:]
begin = converted = time.perf_counter()
{body}
end = time.perf_counter()
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(converted - begin, end - begin, 1024 * int(peak))
"""


def _reading(table: Table, folder: Path) -> None:
    """Reading, converting and writing ResNet-101 against onnx's own load, inference and save."""
    source = zoo.export("resnet101", folder / "resnet101.onnx", seed=0)
    rounds = []
    for number in range(5):
        one = [
            _child(
                CHILD.format(module=module, body=body), source, folder / f"{module}{number}.onnx"
            )
            for module, body in (("onnx", BY_ONNX), ("hydrafy", BY_HYDRAFY))
        ]
        rounds.append(one)
    (_, onnx, _), (converted, written, memory) = np.median(rounds, axis=0)
    text = f"{converted / onnx:.2f} ({converted:.2f} s / {onnx:.2f} s)"
    table.add_row("read and convert ResNet-101 / onnx's load, infer, save", text, "3")
    table.add_row("the same, written too", f"{written / onnx:.2f} ({written:.2f} s)", "")
    text = f"{memory / source.stat().st_size:.2f} ({memory / 2**20:.0f} MiB)"
    table.add_row("peak memory of that process / the file", text, "4")


def _child(code: str, *files: Path) -> list[float]:
    command = [sys.executable, "-c", code, *map(str, files)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    files[-1].unlink()
    return [float(word) for word in done.stdout.split()]


def _seconds(run: Callable[[], Any], times: int) -> float:
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begin)
    return float(np.median(taken))


if __name__ == "__main__":
    main()
