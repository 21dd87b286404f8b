"""int8: gates in float32 decide, int8 kernels run inside of regions, and predictions stay near."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from hydrafy.analysis.predication.predicting import predicting
from hydrafy.errors import DataError
from hydrafy.execute.optimised import optimised
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Normalisation, scaled
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.force import ForceDecisions
from hydrafy.runtime.read import read
from hydrafy.runtime.targets import int8

Source = Callable[..., Program]

NORMALISATION = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def gated(source: Source) -> Program:
    return base.run(source("resnet20"), [InsertBypass()])


@pytest.fixture(scope="module")
def small(gated: Program) -> Program:
    return int8(gated, images(40))


def kinds(graph: onnx.GraphProto) -> set[str]:
    return {node.op_type for node in graph.node}


def test_gates_stay_in_float(gated: Program, small: Program) -> None:
    assert (small.stage, small.manifest.precision) == ("dynamic", "int8")
    assert small.weight_bytes() < 0.5 * gated.weight_bytes()
    network = predicting(small)
    deciding = [node for node in small.graph if node not in network]
    for node in deciding:
        assert node.op_type != "QuantizeLinear"
        if node.op_type == "DequantizeLinear":  # of what the network computes
            assert node.inputs[0].producer() in network
    own = [node for node in deciding if node.op_type != "DequantizeLinear"]
    kept = [v for node in own for v in node.inputs if v is not None and v.is_initializer()]
    assert {v.dtype for v in kept} <= {ir.DataType.FLOAT, ir.DataType.INT64}
    np.testing.assert_array_equal(small.weight("tau"), gated.weight("tau"))


@pytest.mark.parametrize("single", [False, True])
def test_regions_return_int8_and_run_int8_kernels(small: Program, single: bool) -> None:
    lowered = base.run(small.clone(), lower.pipeline(single=single))
    here = optimised(lowered)
    regions = [n for n in here.graph.node if n.op_type == "If"]
    assert len(regions) == 9
    for region in regions:
        then = next(a.g for a in region.attribute if a.name == "then_branch")
        found = kinds(then)
        assert "QLinearConv" in found
        assert not {"Conv", "QuantizeLinear", "DequantizeLinear"} & found
        assert then.output[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


@pytest.mark.parametrize("single", [False, True])
def test_lowered_is_what_the_quantised_network_is(small: Program, single: bool) -> None:
    lowered = base.run(small.clone(), lower.pipeline(single=single))
    dense, low = Session(small, threads=1), Session(lowered, threads=1)
    for tau in (0.0, 0.5, 1.0):
        for x in np.split(images(6), 6) if single else (images(6), images(1)):
            given = {"input": x, "tau": np.full((1, 1), tau, np.float32)}
            wanted, found = dense.run(given), low.run(given)
            for name in ("logits", "gates.stage1.open"):
                np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, atol=1e-4)


def test_without_images_it_is_refused(gated: Program) -> None:
    with pytest.raises(DataError, match="measured on images: give at least one"):
        int8(gated, images(0))


@pytest.fixture(scope="module")
def cifar(data: Path) -> dict[str, np.ndarray]:
    """The small CIFAR-10, its images as the network takes them."""
    spec = importlib.util.spec_from_file_location("load", data / "load.py")
    assert spec is not None and spec.loader is not None
    load = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(load)
    found = dict(load.load_small(data / "cifar10_small.npz"))
    for name in ("x_train", "x_test"):
        found[name] = NORMALISATION.apply(scaled(found[name], (3, 32, 32)))
    return found


def test_top_1_of_a_trained_network_moves_by_half_a_point_at_most(
    data: Path, cifar: dict[str, np.ndarray]
) -> None:
    blocks = tuple(f"stage{s}.{b}" for s in (1, 2, 3) for b in (2, 3))
    gated = base.run(read(data / "models" / "resnet20_cifar10.onnx"), [InsertBypass(blocks)])
    quantised = int8(gated, cifar["x_train"][:200])
    forms = [
        Session(base.run(base.run(p, lower.pipeline()), [ForceDecisions()]))
        for p in (gated.clone(), quantised)
    ]
    names = [o.name for o in gated.manifest.outputs if o.role == "decision"]
    rng = np.random.default_rng(0)
    for share, least in ((1.0, 90.0), (0.9, 70.0)):
        given = {name: rng.random((1000, 1)) < share for name in names}
        given["input"] = cifar["x_test"]
        exact, found = (
            100 * (form.run(given, ["logits"])["logits"].argmax(1) == cifar["label_test"]).mean()
            for form in forms
        )
        assert exact > least
        assert found > exact - 0.5
