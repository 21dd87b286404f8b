"""What hydrafy itself costs on ResNet-50: its start, conversion, file size, session start.

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
    Console().print(table)


def _seconds(run: Callable[[], Any], times: int) -> float:
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begin)
    return float(np.median(taken))


if __name__ == "__main__":
    main()
