"""PyTorch's two exporters, in their modes and opsets, over the variants that people train."""

import contextlib
import io
import logging
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.onnx import TrainingMode

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.runtime.read import read
from hydrafy.train.importer import to_torch
from tests.passes.normalise.networks import SHAPE, VARIANTS, network
from tests.passes.sources import ops


def export(net: nn.Module, file: Path, *, batch: bool = True, **options: Any) -> Path:
    """Writes the module by torch's own function, with any options of it, quietly."""
    if options["dynamo"]:
        options |= {"external_data": False, "verbose": False}
        options["dynamic_shapes"] = ({0: torch.export.Dim("N")},) if batch else None
    elif batch:
        options["dynamic_axes"] = {"x": {0: "N"}}
    sample = torch.randn(2 if batch else 1, *SHAPE, generator=torch.Generator().manual_seed(0))
    silent, disabled = io.StringIO(), logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(silent),
            contextlib.redirect_stderr(silent),
        ):
            torch.onnx.export(net, (sample,), str(file), input_names=["x"], **options)
    finally:
        logging.disable(disabled)
    return file


def check(program: Program, net: nn.Module) -> None:
    """Asserts that the program, and what torch makes of it, computes what the module does."""
    x = np.random.default_rng(1).standard_normal((3, *SHAPE)).astype(np.float32)
    with torch.no_grad():
        wanted = net.eval()(torch.from_numpy(x)).numpy()
        again = next(iter(to_torch(program).eval()(torch.from_numpy(x)).values())).numpy()
    found = next(iter(Session(program, threads=1).run({"x": x}).values()))
    scale = np.abs(wanted).max()
    assert np.abs(found - wanted).max() <= 1e-5 * scale
    assert np.abs(again - wanted).max() <= 1e-5 * scale


TORCHSCRIPT: dict[str, dict[str, Any]] = {
    "old": {"opset_version": 9},
    "fixed": {"opset_version": 17, "batch": False},
    "new": {"opset_version": 20, "do_constant_folding": False},
}


ALIKE = {
    "dropout", "elu", "gelu-tanh", "instance-norm", "leaky-relu", "plain", "pre-activation",
    "prelu", "relu6", "resnet-c", "resnext", "se-conv", "se-hard", "silu",
}  # fmt: skip
"""What torch writes alike in all of these modes."""
CASES = [(n, mode) for n in VARIANTS for mode in TORCHSCRIPT if mode == "new" or n not in ALIKE]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_torchscript_exports(tmp_path: Path, name: str, mode: str) -> None:
    options = dict(TORCHSCRIPT[mode])
    if name == "type-a" and mode == "old":
        options["opset_version"] = 10  # torch cannot write strided slices before
    net = network(name)
    program = read(export(net, tmp_path / "x.onnx", dynamo=False, **options))
    check(program, net)
    assert not {"Expand", "Identity", "ReduceMean", "Shape", "Unsqueeze"} & {*ops(program)}
    assert ops(program).count("Gemm") == 1  # gates have convolutions


@pytest.mark.parametrize("opset", [9, 13, 17])
def test_exports_in_training_mode(tmp_path: Path, opset: int) -> None:
    """Tracing updates the statistics, in the module and in the file alike."""
    net = network("dropout")
    file = tmp_path / "x.onnx"
    options = {"training": TrainingMode.TRAINING, "do_constant_folding": False}
    export(net, file, dynamo=False, opset_version=opset, **options)
    norms = [n for n in onnx.load(file).graph.node if n.op_type == "BatchNormalization"]
    assert norms and all(len(n.output) > 1 for n in norms)
    program = read(file)
    check(program, net)
    assert "inference-mode" in {entry.by for entry in program.manifest.journal}
    assert "Dropout" not in ops(program)


@pytest.mark.parametrize(
    ("name", "opset", "optimize"),
    [("se-linear", 18, False), ("group-norm", 21, True), ("elu", 23, False), ("gelu", 20, True)],
)
def test_dynamo_exports_look_like_torchscripts(
    tmp_path: Path, name: str, opset: int, optimize: bool
) -> None:
    net = network(name)
    options = {"dynamo": True, "opset_version": opset, "optimize": optimize}
    program = read(export(net, tmp_path / "dynamo.onnx", **options))
    check(program, net)
    old = {"do_constant_folding": optimize, "training": TrainingMode.EVAL}
    if not optimize:
        old["training"] = TrainingMode.PRESERVE
    plain = read(export(net, tmp_path / "script.onnx", dynamo=False, opset_version=17, **old))
    assert Counter(ops(program)) == Counter(ops(plain))
