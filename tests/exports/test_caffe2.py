"""Caffe2's spellings, which the onnx package carries, are read as the one form.

Its files make every weight by a ConstantOfShape, so equal outputs would prove little: the weights
are drawn at random here first.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from hydrafy.analysis.anatomy import anatomy
from hydrafy.execute.session import Session
from hydrafy.runtime.inspect import inspect
from hydrafy.runtime.read import read

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def drawn(name: str) -> onnx.ModelProto:
    """The network with random weights, positive where they are BatchNorm's variances."""
    rng = np.random.default_rng(0)
    model = onnx.load(LIGHT / f"{name}.onnx")
    model.ir_version = 8  # in version 3 weights must be listed among the inputs
    shapes = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    variances = {n.input[4] for n in model.graph.node if n.op_type == "BatchNormalization"}
    kept = []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape" or node.input[0] not in shapes:
            kept.append(node)
            continue
        shape = shapes[node.input[0]].tolist()
        spread = 1 / np.sqrt(max(1, np.prod(shape[1:])))
        array = rng.normal(0, spread, shape).astype(np.float32)
        array = np.abs(array) + 0.5 if node.output[0] in variances else array
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


RESNET50 = {
    "Conv": 53, "BatchNormalization": 53, "Relu": 49, "Add": 16, "MaxPool": 1,
    "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1, "Softmax": 1,
}  # fmt: skip
DENSENET121 = {
    "Conv": 120, "BatchNormalization": 121, "Relu": 121, "Concat": 58, "MaxPool": 1,
    "AveragePool": 3, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "ops"), [("light_resnet50", RESNET50), ("light_densenet121", DENSENET121)]
)
def test_light_networks(name: str, ops: dict[str, int]) -> None:
    model = drawn(name)
    program = read(model)
    assert Counter(node.op_type for node in program.graph) == ops
    x = np.random.default_rng(1).standard_normal((1, 3, 224, 224)).astype(np.float32)
    feeds = {program.data_inputs[0].name or "": x}
    (wanted,) = Session(model, threads=1).run(feeds).values()
    (found,) = Session(program, threads=1).run(feeds).values()
    assert wanted.std() > 1e-4 * np.abs(wanted).max()
    assert found.shape == (1, 1000)
    assert np.abs(found - wanted.reshape(1, 1000)).max() <= 1e-4 * np.abs(wanted).max()


def test_the_anatomy_of_resnet50() -> None:
    program = read(LIGHT / "light_resnet50.onnx")
    stages = anatomy(program).stages
    assert [len(stage.blocks) for stage in stages] == [3, 4, 6, 3]
    assert [stage.shape for stage in stages] == [
        (256, 56, 56),
        (512, 28, 28),
        (1024, 14, 14),
        (2048, 7, 7),
    ]
    for stage in stages:
        assert [b.kind for b in stage.blocks] == ["projection"] + ["identity"] * (
            len(stage.blocks) - 1
        )


@pytest.mark.parametrize("file", sorted(LIGHT.glob("*.onnx")), ids=lambda file: file.stem)
def test_every_network_is_inspected_and_told_whether_it_can_be_split(file: Path) -> None:
    found = inspect(file)
    assert found.stages
    accepted = {split.recipe for split in found.splits if split.refusal is None}
    assert ("dynk" in accepted) == (
        file.stem in ("light_densenet121", "light_resnet50", "light_shufflenet")
    )
