"""How fast onnxruntime's convolutions are by width and size: the floor below narrow branches.

python -m benchmarks.kernels
"""

import time

import numpy as np
import onnx_ir as ir
from rich.console import Console
from rich.table import Table

from hydrafy.execute.session import Session
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program

LAYERS = 12
SHAPES = ((32, 32), (64, 16), (128, 8), (16, 16), (32, 8), (8, 16))


def chain(channels: int, size: int) -> Program:
    """Twelve 3x3 convolutions with ReLU, each of the same width."""
    x = ir.val("x", ir.DataType.FLOAT, ["N", channels, size, size])
    graph = ir.Graph([x], [], nodes=[], opset_imports={"": ops.OPSET}, name="chain")
    rng = np.random.default_rng(0)
    for layer in range(LAYERS):
        kernel = rng.standard_normal((channels, channels, 3, 3)) / np.sqrt(9 * channels)
        weight = build.weight(graph, f"w{layer}", kernel.astype(np.float32))
        conv = build.op("Conv", [x, weight], f"conv{layer}", pads=[1, 1, 1, 1])
        relu = build.op("Relu", [conv.outputs[0]], f"relu{layer}")
        graph.extend([conv, relu])
        x = relu.outputs[0]
    graph.outputs.append(x)
    return Program(ir.Model(graph, ir_version=10), Manifest())


def main() -> None:
    """Measures and prints one table: microseconds a layer, and multiply-accumulates a second."""
    table = Table("channels", "size", "us a layer, batch 1", "GMAC/s", "batch 32: GMAC/s")
    for channels, size in SHAPES:
        session = Session(chain(channels, size), threads=1)
        work = channels**2 * 9 * size**2
        one, many = (_seconds(session, batch, channels, size) / LAYERS for batch in (1, 32))
        row = (channels, size, f"{one * 1e6:.1f}", f"{work / one / 1e9:.0f}")
        table.add_row(*map(str, row), f"{32 * work / many / 1e9:.0f}")
    Console().print(table)


def _seconds(session: Session, batch: int, channels: int, size: int) -> float:
    x = np.random.default_rng(1).standard_normal((batch, channels, size, size)).astype(np.float32)
    taken = []
    for _ in range(60):
        begin = time.perf_counter()
        session.run({"x": x})
        taken.append(time.perf_counter() - begin)
    return float(np.median(taken[10:]))


if __name__ == "__main__":
    main()
