"""What other frameworks export is read as what they computed, in our one form."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.classifier import classifier
from hydrafy.analysis.layout import layout
from hydrafy.execute.session import Session
from hydrafy.runtime.read import read
from hydrafy.train.importer import to_torch

FOLDER = Path(__file__).parent
NAMES = sorted(file.stem for file in FOLDER.glob("*.onnx"))

HEAD = Counter(["GlobalAveragePool", "Flatten", "Gemm"])
KERAS_DENSENET = Counter(
    Transpose=1, Sub=1, Mul=8, Add=7, Conv=12, Relu=13, MaxPool=1, Concat=5,
    AveragePool=2, Flatten=1, Gemm=1, Softmax=1,
)  # fmt: skip
KERAS_SE = Counter(
    Transpose=1, Conv=10, Relu=5, Clip=2, Sigmoid=2, Mul=2, Add=2, AveragePool=1, Softmax=1,
    GlobalAveragePool=2,
)  # fmt: skip
FORMS = {
    "keras_densenet": KERAS_DENSENET,
    "keras_densenet_raw": KERAS_DENSENET,
    "keras_resnet_v1": HEAD + Counter(Transpose=1, Conv=15, Relu=13, MaxPool=1, Add=4, Softmax=1),
    "keras_resnet_v2": HEAD
    + Counter(Transpose=1, Conv=15, Relu=13, Mul=5, Pad=1, MaxPool=2, Add=9),
    "keras_se_resnet": HEAD + KERAS_SE,
    "keras_se_resnet_raw": HEAD + KERAS_SE,
    "mxnet_densenet": HEAD
    + Counter(Conv=12, BatchNormalization=13, Relu=13, MaxPool=1, Concat=5, AveragePool=1),
    "mxnet_resnet_v1": HEAD + Counter(Conv=15, BatchNormalization=15, Relu=13, MaxPool=1, Add=4),
    "mxnet_resnet_v2": HEAD + Counter(Conv=10, BatchNormalization=11, Relu=10, MaxPool=1, Add=4),
    "paddle_densenet": HEAD
    + Counter(Conv=7, BatchNormalization=8, Relu=8, Concat=5, AveragePool=1, Softmax=1),
    "paddle_resnet_d": HEAD
    + Counter(Conv=10, BatchNormalization=10, Relu=9, MaxPool=1, Add=4, AveragePool=1),
}

STAGES = {
    "keras_resnet_v1": [["projection", "identity"], ["projection", "identity"]],
    "keras_resnet_v2": [["projection"], ["projection"], ["projection", "identity"]],
    "keras_se_resnet": [["identity"], ["projection"]],
    "mxnet_resnet_v1": [["projection", "identity"], ["projection", "identity"]],
    "mxnet_resnet_v2": [["identity", "identity"], ["projection", "identity"]],
    "paddle_resnet_d": [["identity", "identity"], ["projection", "identity"]],
}


def saved(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The images and what the framework computed from them."""
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return arrays["x"], arrays["y"]


@pytest.mark.parametrize("name", NAMES)
def test_it_computes_what_the_framework_did(name: str) -> None:
    program, (x, y) = read(FOLDER / f"{name}.onnx"), saved(name)
    scale = np.abs(y).max()
    assert y.std(axis=0).max() > 0.05 * scale  # the images differ, and so must their results
    session = Session(program, threads=1)
    (source,), (output,) = session.inputs, session.outputs
    result = session.run({source: x})[output]
    assert result.shape == y.shape
    assert np.abs(result - y).max() <= 1e-5 * scale
    assert session.run({source: x[:0]})[output].shape == (0, 10)
    with torch.no_grad():
        (trained,) = to_torch(program).eval()(torch.from_numpy(x)).values()
    assert np.abs(trained.numpy() - y).max() <= 1e-5 * scale


@pytest.mark.parametrize("name", NAMES)
def test_it_has_our_form(name: str) -> None:
    program = read(FOLDER / f"{name}.onnx")
    assert Counter(node.op_type for node in program.graph) == FORMS[name]
    assert layout(program) == ("NHWC" if name.startswith("keras") else "NCHW")
    assert program.graph[0].op_type == "Transpose" or not name.startswith("keras")
    found = classifier(program)
    assert found.node.op_type == "Gemm" and len(found.rows) == 10
    assert found.bias.any()


@pytest.mark.parametrize("name", STAGES)
def test_its_blocks_are_found(name: str) -> None:
    stages = anatomy(read(FOLDER / f"{name}.onnx")).stages
    assert [[block.kind for block in stage.blocks] for stage in stages] == STAGES[name]
