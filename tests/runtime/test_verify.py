"""Lowering is proven, and the proof notices what is wrong: regions, weights, unreachable sides."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from hydrafy.errors import ModelError, VerifyError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest, Normalisation, Output
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes import lower as passes
from hydrafy.runtime.convert import convert
from hydrafy.runtime.lower import lower, lower_program
from hydrafy.runtime.read import read
from hydrafy.runtime.verify import TOLERANCE, verify_lowered
from tests.train.programs import Sketch

FORMS = [
    ("resnet8", {}, {}),
    ("resnet8", {"exporter": "dynamo"}, {"split": "stage2"}),
    ("resnet8", {"shortcut": "B", "fold": True}, {"branch_width": 1.0, "combiner": "mean"}),
    ("bottleneck", {}, {"combiner": "dense", "split": "stage1"}),
]


def spread(program: Program, x: np.ndarray) -> Program:
    """Branches differ from each other, and the gate decides differently for different images."""
    rng = np.random.default_rng(0)
    for name, value in program.graph.initializers.items():
        array = program.weight(name)
        if name.startswith(("branches.", "combiner.")) and value.dtype == ir.DataType.FLOAT:
            noise = rng.standard_normal(array.shape) * 0.3 * (np.abs(array).mean() + 1e-3)
            new = array + noise
            program.set_weight(name, (np.abs(new) if "running_var" in name else new).astype("f"))
    rows = rng.standard_normal(program.weight("gate.fc.weight").shape).astype(np.float32)
    program.set_weight("gate.fc.weight", rows)
    feeds = {program.data_inputs[0].name or "": x}
    logits = Session(program).run(feeds, ["gate.logits"])["gate.logits"]
    factor = 1.5 / logits.std(0)
    program.set_weight("gate.fc.weight", (rows * factor[:, None]).astype(np.float32))
    bias = program.weight("gate.fc.bias")
    program.set_weight("gate.fc.bias", ((bias - logits.mean(0)) * factor).astype(np.float32))
    return program


@pytest.fixture(scope="module")
def made(source: Callable[..., Program]) -> Callable[..., Program]:
    def one(name: str, options: dict[str, Any], setting: dict[str, Any]) -> Program:
        setting = {"branches": 5, "k": 3, **setting}
        x = np.random.default_rng(1).standard_normal((32, 3, 16, 16)).astype(np.float32)
        return spread(convert(source(name, **options), "dynk", **setting), x)

    return one


def scale(array: np.ndarray) -> float:
    return max(float(np.abs(array).max()), 1e-6) if array.size else 1.0


def same(wanted: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> None:
    assert list(found) == ["logits", "picked"]
    decided = (wanted["picked"] == found["picked"]).all(1)
    assert decided.sum() >= len(decided) - 1  # rounding next to a threshold
    a, b = wanted["logits"][decided], found["logits"][decided]
    assert a.shape == b.shape
    assert not a.size or np.abs(a - b).max() <= TOLERANCE * scale(a)


@pytest.mark.parametrize(("name", "options", "setting"), FORMS, ids=str)
@pytest.mark.parametrize("threads", [1, 2])
def test_lowered_equals_dense_for_any_batch_tau_and_order(
    made: Callable[..., Program],
    name: str,
    options: dict[str, Any],
    setting: dict[str, Any],
    threads: int,
) -> None:
    program = made(name, options, setting)
    dense, lowered = Session(program, threads=threads), Session(lower(program), threads=threads)
    rng = np.random.default_rng(5)
    counts = set()
    for batch in range(10):
        x = rng.standard_normal((batch, 3, 16, 16)).astype(np.float32)
        for tau in (0.0, 0.1, 0.3, 1.0):
            feeds = {"input": x, "tau": np.full((1, 1), tau, np.float32)}
            wanted = dense.run(feeds, ["logits", "picked"])
            counts |= set(wanted["picked"].sum(1).tolist())
            same(wanted, lowered.run(feeds))
        order = rng.permutation(batch)
        shuffled = lowered.run({"input": x[order]})
        same({k: v[order] for k, v in lowered.run({"input": x}).items()}, shuffled)
    assert counts == {1, 2, 3}


@pytest.mark.parametrize(("name", "options", "setting"), FORMS, ids=str)
def test_the_lowered_file_is_plain_and_small(
    made: Callable[..., Program], name: str, options: dict[str, Any], setting: dict[str, Any]
) -> None:
    program = made(name, options, setting)
    before = program.to_onnx().SerializeToString()
    lowered, found = lower_program(program)
    assert program.to_onnx().SerializeToString() == before  # the program stays as it is
    model = lowered.to_onnx()
    onnx.checker.check_model(model, full_check=False)
    assert {o.domain for o in model.opset_import} == {""} and not model.functions
    assert found.reached == 5 and found.worst <= TOLERANCE
    assert set(found.batches) >= {0, 1} and max(found.batches) >= 4
    assert [v.name for v in lowered.graph.outputs] == ["logits", "picked"]
    outside = [n.name for n in lowered.graph if n.op_type == "Conv" and "branches" in n.name]
    assert outside == [], "every convolution of a branch is in its region"
    notes = [n for entry in lowered.manifest.journal for n in entry.notes]
    assert not any("stays outside" in n or "stays dense" in n for n in notes), notes
    regions = [n for n in lowered.graph if n.op_type == "If"]
    assert len(regions) == 5


def test_the_bytes_of_a_lowered_file_are_its_weights(source: Callable[..., Program]) -> None:
    """On a network of 2.8 MB: at 1.05 times its weights there is no copy of any."""
    program = convert(
        source("resnet20", width=32, size=32), "dynk", branches=5, k=2, split="stage2"
    )
    lowered = lower_program(program)[0]
    assert len(lowered.to_onnx().SerializeToString()) <= 1.05 * lowered.weight_bytes()
    trained = sum(
        v.const_value.nbytes
        for n, v in program.graph.initializers.items()
        if v.dtype == ir.DataType.FLOAT
    )
    assert lowered.weight_bytes() <= trained


def test_dense_equals_the_torch_module_with_its_training_outputs(
    made: Callable[..., Program],
) -> None:
    import torch

    from hydrafy.train.importer import to_torch

    program = made("resnet8", {}, {})
    module, session = to_torch(program).eval(), Session(program)
    x = np.random.default_rng(0).standard_normal((6, 3, 16, 16)).astype(np.float32)
    wanted = session.run({"input": x})
    with torch.no_grad():
        found = {k: v.numpy() for k, v in module(torch.from_numpy(x)).items()}
    assert set(found) == set(wanted) and next(iter(found)) == "logits"
    assert {f"branches.{b}.logits" for b in range(5)} | {"gate.logits"} <= set(found)
    for name, array in wanted.items():
        if array.dtype == bool:
            np.testing.assert_array_equal(found[name], array)
        else:
            assert np.abs(found[name] - array).max() <= 1e-4 * scale(array), name


def lowered_of(program: Program) -> Program:
    return base.run(program.clone(), passes.pipeline())


def regions(lowered: Program) -> list[ir.Graph]:
    ifs = [n for n in lowered.graph if n.op_type == "If"]
    return [n.attributes["then_branch"].as_graph() for n in ifs]


def test_a_changed_weight_in_a_region_is_noticed(made: Callable[..., Program]) -> None:
    program = made("resnet8", {}, {})
    lowered = lowered_of(program)
    verify_lowered(program, lowered)
    for inner in regions(lowered):
        value = next(v for n, v in inner.initializers.items() if n.endswith("projection.weight"))
        array = value.const_value.numpy()
        value.const_value = ir.tensor(array * np.float32(1.05), name=value.name)
        with pytest.raises(VerifyError, match=r"'logits' differs by .* in region 'branches\.\d"):
            verify_lowered(program, lowered)
        value.const_value = ir.tensor(array, name=value.name)
    verify_lowered(program, lowered)


def test_swapped_regions_are_noticed(made: Callable[..., Program]) -> None:
    program = made("resnet8", {}, {})
    lowered = lowered_of(program)
    first, second, *_ = regions(lowered)
    pairs = zip(first.initializers.values(), second.initializers.values(), strict=True)
    for one, two in pairs:
        assert one.shape == two.shape
        arrays = one.const_value.numpy(), two.const_value.numpy()
        one.const_value = ir.tensor(arrays[1], name=one.name)
        two.const_value = ir.tensor(arrays[0], name=two.name)
    with pytest.raises(VerifyError, match=r"'logits' differs by .* in region 'branches\.0"):
        verify_lowered(program, lowered)


def test_a_region_that_never_runs_is_noticed(made: Callable[..., Program]) -> None:
    program = made("resnet8", {}, {})
    lowered = lowered_of(program)
    branch = next(n for n in lowered.graph if n.op_type == "If")
    flag = branch.inputs[0]
    never = ir.node("Not", [flag], name="never")
    never.outputs[0].name = "never"
    never.outputs[0].type, never.outputs[0].shape = flag.type, flag.shape
    lowered.graph.insert_before(branch, never)
    branch.replace_input_with(0, never.outputs[0])
    with pytest.raises(VerifyError, match="cannot be proven: onnxruntime cannot run"):
        verify_lowered(program, lowered)


def test_other_decisions_are_noticed(made: Callable[..., Program]) -> None:
    program = made("resnet8", {}, {})
    lowered = lowered_of(program)
    lowered.set_weight("tau", np.ones((1, 1), np.float32))
    with pytest.raises(VerifyError, match="decisions 'picked' of the lowered file differ"):
        verify_lowered(program, lowered)


@pytest.mark.parametrize(
    ("constant", "value"), [("picked.more", 0.5), ("picked.more", 2.5), ("picked.half", 1.5)]
)
def test_a_gate_that_decides_otherwise_is_noticed(
    made: Callable[..., Program], constant: str, value: float
) -> None:
    """tau without effect; the best branch under tau dropped; only the best branch ever picked."""
    program = made("resnet8", {}, {})
    lowered = lowered_of(program)
    node = next(n for n in lowered.graph if n.name == constant)
    node.attributes["value"] = ir.AttrTensor("value", ir.tensor(np.float32(value)))
    with pytest.raises(VerifyError, match="decisions 'picked' of the lowered file differ"):
        verify_lowered(program, lowered)


def test_a_gate_that_wants_more_than_tau_is_noticed(made: Callable[..., Program]) -> None:
    program = made("resnet8", {}, {})
    lowered = lowered_of(program)
    next(n for n in lowered.graph if n.name == "picked.above").op_type = "Greater"
    with pytest.raises(VerifyError, match="decisions 'picked' of the lowered file differ"):
        verify_lowered(program, lowered)


def test_a_side_that_no_probe_reaches_is_refused() -> None:
    """It holds in one of 2**30 cases, too many to try them all, and none was drawn that does."""
    s = Sketch()
    scores = s.op("Sigmoid", [s.linear(s.pooled(s.x, "gate"), "gate.fc", 30)], "scores")
    decided = s.op("ThresholdGate", [scores, s.weight("tau", np.full((1, 1), 0.5, "f"))], "decided")
    pred = None
    for number in range(30):
        index = s.weight(f"index{number}", np.array(number))
        column = s.op("Gather", [decided, index], f"column{number}", axis=1)
        one = column if number % 2 else s.op("Not", [column], f"closed{number}")
        pred = one if pred is None else s.op("And", [pred, one], f"and{number}")
    y = s.op("Select", [pred, s.conv(s.x, "a", 3, 3), s.conv(s.x, "b", 3, 3)], "select")
    outputs = (Output("pooled.flat", "prediction"), Output("decided", "decision"))
    program = s.program(
        s.pooled(y, "pooled"), decided, manifest=Manifest("dynamic", outputs=outputs)
    )
    with pytest.raises(VerifyError, match=r"both sides of and29 \(true\): the file is not"):
        lower_program(program)


def test_a_missing_or_reshaped_output_is_noticed(made: Callable[..., Program]) -> None:
    program = made("resnet8", {}, {})
    lowered = lowered_of(program)
    fc = next(n for n in lowered.graph if n.name == "head.fc")
    lowered.set_weight("head.fc.weight", lowered.weight("head.fc.weight")[:1])
    lowered.set_weight("head.fc.bias", lowered.weight("head.fc.bias")[:1])
    for value in (*fc.inputs[1:], fc.outputs[0]):
        value.shape = None
    with pytest.raises(VerifyError, match="has the shape"):
        verify_lowered(program, lowered)


def test_what_is_not_dynamic_is_refused(
    source: Callable[..., Program], made: Callable[..., Program]
) -> None:
    with pytest.raises(ModelError, match="static, there is nothing to skip"):
        lower(source("resnet8"))
    with pytest.raises(ModelError, match="lowered already"):
        lower(lower_program(made("resnet8", {}, {}))[0])


@pytest.fixture(scope="module")
def cifar(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """The 1,000 small test images of CIFAR-10 as input, and their labels."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("load", data / "load.py")
    assert spec is not None and spec.loader is not None
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    small = loader.load_small(data / "cifar10_small.npz")
    norm = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    pixels = small["x_test"].transpose(0, 3, 1, 2) / np.float32(255)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (norm.mean, norm.std))
    return ((pixels - mean) / std).astype(np.float32), small["label_test"].astype(np.int64)


def test_a_pretrained_network_on_real_images(
    data: Path, cifar: tuple[np.ndarray, np.ndarray]
) -> None:
    x, labels = cifar
    program = read(data / "models" / "resnet20_cifar10.onnx")
    name, output = program.data_inputs[0].name or "", program.graph.outputs[0].name or ""
    wanted = Session(program).run({name: x})[output]
    assert (wanted.argmax(1) == labels).mean() == pytest.approx(0.910, abs=1e-9)
    full = convert(program, "dynk", branches=5, k=2, branch_width=1.0, split="stage3", tau=0.0)
    found = Session(lower(full)).run({name: x})
    assert np.abs(found[output] - wanted).max() <= TOLERANCE * scale(wanted)
    assert (found[output].argmax(1) == labels).mean() == pytest.approx(0.910, abs=1e-9)
    assert found["picked"].sum(1).tolist() == [2] * 1000
    some = x[:200]
    narrow = spread(convert(program, "dynk", branches=5, k=3), some)
    a = Session(narrow).run({name: some}, [output, "picked"])
    b = Session(lower(narrow)).run({name: some})
    decided = (a["picked"] == b["picked"]).all(1)
    assert decided.mean() >= 0.99
    assert len(np.unique(a["picked"], axis=0)) > 5  # real images take many ways
    assert np.abs(a[output] - b[output])[decided].max() <= TOLERANCE * scale(a[output])
