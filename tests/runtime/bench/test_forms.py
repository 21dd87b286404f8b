"""bench runs each form that `lower` makes, and finds the dynamic file behind it."""

from pathlib import Path

import numpy as np
import pytest

from hydrafy.execute.machine import this_machine
from hydrafy.runtime import bench as module
from hydrafy.runtime.bench import bench
from hydrafy.runtime.bench.attribution import GATES, ROWS, STEM
from hydrafy.runtime.lower import Lowering, lower_program
from hydrafy.train.data import Data
from tests.passes.dynamic import IMAGES, layers
from tests.runtime.bench.test_bench import static

FORMS = [Lowering("native"), Lowering("native", single=True), Lowering(single=True),
         Lowering(precision="float16"), Lowering(precision="int8"), Lowering("dense")]  # fmt: skip


@pytest.mark.parametrize("how", FORMS, ids=lambda how: f"{how.target}-{how.precision}-{how.single}")
def test_each_form_is_benched(
    how: Lowering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how.target == "native" and this_machine().block < 2:
        pytest.skip("no blocked kernels here")
    monkeypatch.setattr(module, "SECONDS", 0.0)
    lowered, _ = lower_program(layers(), how, images=IMAGES)
    files = [
        lowered.save(tmp_path / "net.deploy.onnx"),
        static().save(tmp_path / "static.onnx"),
        layers().save(tmp_path / "net.onnx"),
    ]
    images = Data(IMAGES, np.zeros(len(IMAGES), np.int64))
    found = bench(*files[:2], data=images, batches=(1,))
    assert found.dense == str(files[2])
    (one,) = found.sizes
    assert one.ratio.median > 0 and one.oracle is not None and len(one.forced) == 5
    shares = {part.name: part.share for part in one.parts}
    assert min(shares[STEM], shares[GATES], shares[ROWS]) > 0
    assert sum(shares.values()) == pytest.approx(1)
