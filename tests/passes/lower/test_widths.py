"""A switch between widths: weights that several regions share are blocked in each of them."""

from collections import Counter

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.execute.machine import this_machine
from hydrafy.execute.optimised import optimised
from hydrafy.execute.session import Session
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import Manifest, Output
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.runtime.verify import verify_lowered

WIDTH = 32


def switch() -> Program:
    """Two convolutions at half width where `narrow` holds, at full width elsewhere."""
    x = ir.val("x", ir.DataType.FLOAT, ["N", WIDTH, 8, 8])
    narrow = ir.val("narrow", ir.DataType.BOOL, [])
    graph = ir.Graph([x, narrow], [], nodes=[], opset_imports={"": ops.OPSET}, name="switch")
    rng = np.random.default_rng(0)

    def op(kind: str, inputs: list[ir.Value], name: str, **attributes: object) -> ir.Value:
        node = build.op(kind, inputs, name, **attributes)
        graph.append(node)
        return node.outputs[0]

    def const(name: str, array: np.ndarray) -> ir.Value:
        return build.weight(graph, name, array)

    shape = (WIDTH, WIDTH, 3, 3)
    whole = [const(f"w{i}", rng.standard_normal(shape).astype("f") / 17) for i in range(2)]
    start, end = const("start", np.array([0])), const("end", np.array([WIDTH // 2]))
    axes = [const(f"axis{axis}", np.array([axis])) for axis in (0, 1)]
    half = [
        op("Slice", [w, start, end, a], f"half{i}")
        for i, (w, a) in enumerate(zip(whole, axes, strict=True))
    ]

    def layers(weights: list[ir.Value], name: str) -> ir.Value:
        first = op("Conv", [x, weights[0]], f"{name}.0", pads=[1] * 4)
        return op("Conv", [op("Relu", [first], f"{name}.relu"), weights[1]], name, pads=[1] * 4)

    sides = [layers(half, "small"), layers(whole, "large")]
    graph.outputs.append(op("Select", [narrow, *sides], "y", domain=ops.DOMAIN))
    outputs = (Output("y", "prediction"),)
    return Program(ir.Model(graph, ir_version=10), Manifest(stage="dynamic", outputs=outputs))


@pytest.mark.skipif(this_machine().block < 2, reason="no blocked kernels here")
@pytest.mark.parametrize("single", [False, True])
def test_every_width_runs_in_blocked_kernels_of_weights_that_are_stored_once(single: bool) -> None:
    program = switch()
    low = base.run(program.clone(), lower.pipeline(single=single))
    verify_lowered(program, low)
    assert low.weight_bytes() < 1.01 * program.weight_bytes()
    here = ir.from_proto(optimised(low)).graph.all_nodes()
    found = Counter(node.domain for node in here if node.op_type.endswith("Conv"))
    assert found == {"com.microsoft.nchwc": 4}
    x = np.random.default_rng(1).standard_normal((1, WIDTH, 8, 8)).astype(np.float32)
    for narrow in (True, False):
        given = {"x": x, "narrow": np.array(narrow)}
        wanted, have = Session(program).run(given)["y"], Session(low).run(given)["y"]
        np.testing.assert_allclose(have, wanted, rtol=1e-4, atol=1e-5)
