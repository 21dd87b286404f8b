"""Small programs for the tests of train, and the comparison with onnxruntime."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from hydrafy.execute.session import Session
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import LossTerm, Manifest, Output, RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.ir.verify import verify
from hydrafy.train.importer import to_torch


class Sketch:
    """A program being drawn: values come from `weight` and `op`, `program` finishes it."""

    def __init__(self, shape: Sequence[int | str] = ("N", 3, 8, 8), opset: int = ops.OPSET) -> None:
        self.opset = opset
        self.x = ir.Value(name="x", shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.FLOAT))
        self.graph = ir.Graph([self.x], [], nodes=[], name="sketch", opset_imports={"": opset})
        self.rng = np.random.default_rng(0)

    def weight(self, name: str, array: np.ndarray, *, overridable: bool = False) -> ir.Value:
        value = build.weight(self.graph, name, np.asarray(array))
        if overridable:
            self.graph.inputs.append(value)
        return value

    def random(self, name: str, *shape: int, scale: float = 0.5) -> ir.Value:
        array = self.rng.standard_normal(shape).astype(np.float32) * np.float32(scale)
        return self.weight(name, array)

    def op(
        self, kind: str, inputs: Sequence[ir.Value | None], name: str, **kwargs: Any
    ) -> ir.Value:
        domain = ops.DOMAIN if kind in ops.names() else ""
        node = build.op(kind, inputs, name, domain=domain, version=self.opset, **kwargs)
        self.graph.append(node)
        return node.outputs[0]

    def conv(self, x: ir.Value, path: str, out: int, size: int, *, bias: bool = True) -> ir.Value:
        into = x.shape[1]
        weights = [self.random(f"{path}.weight", out, into, size, size, scale=0.3)]
        weights += [self.random(f"{path}.bias", out)] if bias else []
        pads = [size // 2] * 4
        return self.op("Conv", [x, *weights], path, kernel_shape=[size, size], pads=pads)

    def batchnorm(self, x: ir.Value, path: str, *, fresh: bool = False) -> ir.Value:
        size = x.shape[1]
        arrays = [np.ones(size), np.zeros(size), np.zeros(size), np.ones(size)]
        if not fresh:
            arrays = [a + 0.5 * self.rng.uniform(0, 1, size) for a in arrays]
        slots = ("weight", "bias", "running_mean", "running_var")
        weights = [
            self.weight(f"{path}.{slot}", a.astype(np.float32))
            for slot, a in zip(slots, arrays, strict=True)
        ]
        return self.op("BatchNormalization", [x, *weights], path)

    def linear(self, x: ir.Value, path: str, out: int) -> ir.Value:
        weights = [self.random(f"{path}.weight", out, x.shape[1]), self.random(f"{path}.bias", out)]
        return self.op("Gemm", [x, *weights], path, transB=1)

    def pooled(self, x: ir.Value, name: str) -> ir.Value:
        pooled = self.op("GlobalAveragePool", [x], f"{name}.pool")
        return self.op("Flatten", [pooled], f"{name}.flat")

    def program(
        self, *outputs: ir.Value, manifest: Manifest | None = None, checked: bool = True
    ) -> Program:
        self.graph.outputs.extend(outputs)
        program = Program(ir.Model(self.graph, ir_version=10), manifest or Manifest(stage="static"))
        if checked:
            verify(program, by="the test")
        return program


def single(kind: str, shape: Sequence[int], *rest: np.ndarray | None, **attributes: Any) -> Program:
    """One node over x [N, *shape] and constants, named so that no torch layer owns them.

    It may mix rows, which no program of the road does.
    """
    opset = attributes.pop("opset", ops.OPSET)
    sketch = Sketch(("N", *shape), opset)
    constants = [None if a is None else sketch.weight(f"c{i}", a) for i, a in enumerate(rest)]
    return sketch.program(sketch.op(kind, [sketch.x, *constants], "y", **attributes), checked=False)


def images(program: Program, count: int, seed: int = 0) -> np.ndarray:
    shape = program.data_inputs[0].shape
    return np.random.default_rng(seed).standard_normal((count, *shape[1:])).astype(np.float32)


def agree(
    program: Program, sizes: Sequence[int] = (0, 1, 5), module: torch.nn.Module | None = None
) -> torch.nn.Module:
    """Asserts that the module in eval mode computes what onnxruntime does, for some batch sizes."""
    module = (to_torch(program) if module is None else module).eval()
    session = Session(program, threads=1)
    for count in sizes:
        x = images(program, count)
        wanted = session.run({"x": x})
        with torch.no_grad():
            have = module(torch.from_numpy(x))
        assert set(have) == set(wanted)
        for name, array in wanted.items():
            result = have[name].numpy()
            assert result.dtype == array.dtype, name
            assert result.shape == array.shape, name
            np.testing.assert_allclose(result, array, rtol=1e-4, atol=1e-5, err_msg=name)
    return module


CLASSES = ((0, 3), (1, 4), (2, 5))


def dynamic(*, k: int = 1, tau: float = 0.0, neutral: float | None = 0.0) -> Program:
    """A stem, a gate over three classified branches, a combiner and a head; 6 classes."""
    s = Sketch()
    stem = s.op(
        "Relu", [s.batchnorm(s.conv(s.x, "stem.conv", 8, 3, bias=False), "stem.bn")], "stem"
    )
    logits = s.linear(s.pooled(stem, "gate"), "gate.fc", len(CLASSES))
    scores = s.op("Softmax", [logits], "gate.scores", axis=-1)
    limit = s.weight("tau", np.full((1, 1), tau, np.float32), overridable=True)
    picked = s.op("TopKGate", [scores, limit], "picked", k=k)
    zero = s.weight("zero", np.array(0, np.float32))
    chosen, classified = [], []
    for b in range(len(CLASSES)):
        path = f"branches.{b}"
        branch = s.op("Relu", [s.conv(stem, f"{path}.conv", 8, 3)], f"{path}.relu")
        classified.append(s.linear(s.pooled(branch, path), f"{path}.fc", 6))
        index = s.weight(f"{path}.index", np.array(b, np.int64))
        pred = s.op("Gather", [picked, index], f"{path}.picked", axis=1)
        chosen.append(s.op("Select", [pred, branch, zero], f"{path}.select"))
    total = s.op("Sum", chosen, "sum")
    combined = s.batchnorm(
        s.conv(total, "combiner.conv", 8, 1, bias=False), "combiner.bn", fresh=True
    )
    prediction = s.linear(s.pooled(combined, "head"), "head.fc", 6)
    named = {"gate.fc": "group"} | {f"branches.{b}.fc": "class" for b in range(3)}
    manifest = Manifest(
        stage="dynamic",
        outputs=(
            Output("head.fc", "prediction"),
            Output("picked", "decision"),
            *(Output(name, "training") for name in named),
        ),
        runtime_inputs=(RuntimeInput("tau", 0.0, 1.0, neutral, "threshold"),),
        losses=(
            LossTerm("final", "head.fc", 1.0),
            LossTerm("gate", "gate.fc", 1.5, settings={"target": "group"}),
            *(
                LossTerm(f"branches.{b}", f"branches.{b}.fc", 0.05, settings={"classes": [*group]})
                for b, group in enumerate(CLASSES)
            ),
        ),
        partition=CLASSES,
    )
    return s.program(picked, logits, *classified, prediction, manifest=manifest)
