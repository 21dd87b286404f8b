"""Each form that `lower` makes tells the MACs that it executed, as the dynamic file does."""

from pathlib import Path

import numpy as np
import pytest

from hydrafy.execute.machine import this_machine
from hydrafy.runtime.evaluate import evaluate
from hydrafy.runtime.lower import Lowering, lower_program
from hydrafy.train.data import Data
from tests.passes.dynamic import IMAGES, layers

FORMS = [Lowering(), Lowering(single=True), Lowering(precision="float16"), Lowering("native"),
         Lowering("native", single=True), Lowering(precision="int8")]  # fmt: skip


@pytest.mark.parametrize("how", FORMS, ids=lambda how: f"{how.target}-{how.precision}-{how.single}")
def test_executed_macs_are_counted(how: Lowering, tmp_path: Path) -> None:
    if how.target == "native" and this_machine().block < 2:
        pytest.skip("no blocked kernels here")
    dynamic = layers()
    lowered, _ = lower_program(dynamic, how, images=IMAGES)
    files = [dynamic.save(tmp_path / "a.onnx"), lowered.save(tmp_path / "b.onnx")]
    said: list[str] = []
    images = Data(IMAGES, np.arange(len(IMAGES)) % 3)
    one, other = evaluate(files, images, batches=(), say=said.append).results
    assert one.macs is not None and not any("not counted" in sentence for sentence in said)
    assert one.macs == pytest.approx(other.macs, rel=0.02)  # int8 flips a decision or two
    assert 0 < one.predicates["first.on"] < 1
    assert other.predicates == pytest.approx(one.predicates, abs=0.06)


@pytest.mark.skipif(this_machine().block < 2, reason="no blocked kernels here")
def test_a_native_file_without_notes_is_not_counted(tmp_path: Path) -> None:
    lowered, _ = lower_program(layers(), Lowering("native"))
    for node in lowered.graph.all_nodes():
        node.metadata_props.pop("hydrafy.macs", None)
    file = lowered.save(tmp_path / "a.onnx")
    said: list[str] = []
    images = Data(IMAGES, np.arange(len(IMAGES)) % 3)
    (found,) = evaluate(file, images, batches=(), say=said.append).results
    assert found.macs is None
    assert any("lower the network again" in sentence for sentence in said)
