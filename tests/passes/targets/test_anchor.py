"""Anchors change nothing but the layout, and stand only where a sum can be fused for it."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.execute.optimised import optimised
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.targets.anchor import AnchorRegions

Source = Callable[..., Program]


def kinds(program: Program) -> list[str]:
    """The ops of a program as onnxruntime runs it, in regions too."""
    nodes = ir.from_proto(optimised(program)).graph.all_nodes()
    return [node.op_type for node in nodes]


@pytest.mark.parametrize("single", [False, True])
def test_sums_in_regions_are_fused_and_results_stay(source: Source, single: bool) -> None:
    gated = base.run(source("resnet20", width=16), [InsertBypass()])
    plain = base.run(gated.clone(), lower.pipeline(single=single))
    anchored = base.run(plain.clone(), [AnchorRegions()])
    assert anchored.manifest.journal[-1].notes == ("7 images enter regions in the blocked layout",)
    before, after = kinds(plain), kinds(anchored)
    assert before.count("Add") - after.count("Add") == 7
    assert before.count("Relu") - after.count("Relu") == 7
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)
    one, two = Session(plain, threads=1), Session(anchored, threads=1)
    for tau in (0.0, 0.5, 1.0):
        for part in np.split(x, 4) if single else (x, x[:0]):
            given = {"input": part, "tau": np.full((1, 1), tau, np.float32)}
            wanted, found = one.run(given), two.run(given)
            for name, array in wanted.items():
                np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-5, err_msg=name)


def test_channels_that_fill_no_block_stay_as_they_are(source: Source) -> None:
    gated = base.run(source("resnet20", width=8), [InsertBypass(("stage1.2", "stage2.2"))])
    low = base.run(gated, [*lower.pipeline(), AnchorRegions()])
    assert low.manifest.journal[-1].notes == ("1 images enter regions in the blocked layout",)
