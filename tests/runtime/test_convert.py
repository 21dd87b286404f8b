"""At width 1 and tau 0 a converted network computes what its source does; else convert says so."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.cost import cost
from hydrafy.analysis.partition import partition
from hydrafy.errors import DataError, OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Normalisation
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.runtime.convert import convert, report
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.takes import Takes
from hydrafy.runtime.images import IMAGENET
from hydrafy.runtime.lower import lower
from hydrafy.runtime.measure import class_features
from hydrafy.runtime.read import read
from hydrafy.runtime.verify import TOLERANCE
from hydrafy.train.data import Data
from tests.train.programs import Sketch

NETWORKS = [
    ("resnet8", {}),
    ("resnet8", {"shortcut": "B"}),
    ("resnet8", {"exporter": "dynamo"}),
    ("resnet8", {"shortcut": "B", "exporter": "dynamo", "fold": True}),
    ("bottleneck", {}),
]


def divergence(source: Program, program: Program, batch: int = 5, **feeds: np.ndarray) -> float:
    name = source.data_inputs[0].name or ""
    shape = source.data_inputs[0].shape
    assert shape is not None
    x = np.random.default_rng(3).standard_normal((batch, *shape[1:])).astype(np.float32)
    output = source.graph.outputs[0].name or ""
    wanted = Session(source, threads=1).run({name: x}, [output])[output]
    found = Session(program, threads=1).run({name: x, **feeds}, [output])[output]
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


OPEN = {"tau": np.zeros((1, 1), np.float32)}


@pytest.mark.parametrize(("name", "options"), NETWORKS, ids=str)
@pytest.mark.parametrize("k", [1, 2, 4])
def test_copies_of_full_width_preserve_the_function_at_every_split(
    source: Callable[..., Program], name: str, options: dict[str, object], k: int
) -> None:
    program = source(name, **options)
    for number, site in enumerate(anatomy(program).sites()):
        made = convert(
            program,
            "dynk",
            branches=5,
            k=k,
            split=site,
            branch_width=1.0,
            gate_width=(0.125, 0.5, 1.0)[number % 3],
            combiner=("separable", "dense", "mean")[(number + k) % 3],
            tau=0.3,
        )
        assert divergence(program, made, **OPEN) <= TOLERANCE, site


def test_the_report_of_a_preserved_function(source: Callable[..., Program]) -> None:
    program = source("resnet8")
    made = convert(program, "dynk", branches=4, k=2, branch_width=1.0)
    found = report(program, made)
    assert found.preserved and 0 <= found.divergence <= TOLERANCE
    assert found.source == cost(program)
    assert found.stored == cost(made)
    assert found.executed.macs < found.stored.macs
    assert found.executed.parameters < found.stored.parameters
    assert found.executed.bytes < found.stored.bytes
    assert found.executed.macs > found.source.macs  # two full copies of the tail
    assert len(found.warnings) == 1 and "save nothing" in found.warnings[0]


def test_the_report_of_a_narrow_network(source: Callable[..., Program]) -> None:
    program = source("resnet20")
    made = convert(program, "dynk", branches=4, k=2, branch_width=0.25)
    found = report(program, made)
    assert not found.preserved
    assert found.divergence > TOLERANCE
    assert found.divergence == report(program, made).divergence  # the same probes each time
    assert found.divergence != report(program, made, seed=1).divergence
    assert found.executed.macs <= 0.75 * found.source.macs and not found.warnings


def test_the_measured_divergence_is_that_of_the_prediction(source: Callable[..., Program]) -> None:
    program = source("resnet8")
    made = convert(program, "dynk", branches=4, k=2, branch_width=1.0)
    bias = made.weight("head.fc.bias").copy()
    made.set_weight("head.fc.bias", bias + np.float32(0.5))
    found = report(program, made)
    assert not found.preserved and 0.01 < found.divergence < 10


def test_below_its_neutral_tau_the_function_may_change(source: Callable[..., Program]) -> None:
    """That tau matters at all: with one branch instead of two, half of the sum is missing."""
    program = source("resnet8")
    made = convert(program, "dynk", branches=4, k=2, branch_width=1.0)
    assert divergence(program, made, tau=np.ones((1, 1), np.float32)) > 0.01


def test_the_source_stays_as_it_is(source: Callable[..., Program]) -> None:
    program = source("resnet8")
    before = program.to_onnx().SerializeToString()
    seen: list[str] = []

    def watch(item: Pass, _: Program) -> None:
        seen.append(item.name)

    convert(program, "dynk", branches=4, k=2, watch=watch)
    assert program.to_onnx().SerializeToString() == before
    assert program.stage == "static"
    assert seen == [
        "name-parts", "expose", "insert-gate", "insert-branches", "combine", "declare",
    ]  # fmt: skip


def test_conversions_are_reproducible_and_come_from_files(zoo_file: Callable[..., Path]) -> None:
    file = zoo_file("resnet8")
    first, again = (
        convert(form, "dynk", branches="4", k="2").to_onnx().SerializeToString()
        for form in (file, str(file))
    )
    assert first == again


def test_the_journal_says_what_was_done(source: Callable[..., Program]) -> None:
    made = convert(source("resnet8"), "dynk", branches=4, k=2)
    notes = {entry.by: " ".join(entry.notes) for entry in made.manifest.journal}
    assert "4 branches of width 0.25" in notes["insert-branches"]
    assert "a gate of width 0.125 over 4 branches, k = 2" in notes["insert-gate"]


def test_options_are_checked_before_the_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no recipe"):
        convert(tmp_path / "missing.onnx", "nonsense")
    with pytest.raises(OptionError, match="no option"):
        convert(tmp_path / "missing.onnx", "dynk", nonsense=1)


def test_a_network_may_begin_with_a_block() -> None:
    """Its first split is the input itself: the stem is empty, the gate sees the image."""
    s = Sketch(("N", 4, 8, 8))
    y = s.x
    for b in range(2):
        y = s.op("Relu", [s.op("Add", [y, s.conv(y, f"conv{b}", 4, 3)], f"sum{b}")], f"relu{b}")
    program = s.program(s.linear(s.pooled(y, "head"), "fc", 10))
    for site in ("stage1", "stage1.2"):
        made = convert(program, "dynk", branches=2, k=2, split=site, branch_width=1.0)
        assert divergence(program, made, **OPEN) <= TOLERANCE
        lower(made)


def examples(program: Program, count: int = 60, seed: int = 1) -> Data:
    """Images whose classes are told apart by their colour and brightness."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 10)
    shift = rng.standard_normal((10, 3, 1, 1))[labels]
    x = shift + 0.3 * rng.standard_normal((count, 3, 16, 16))
    return Data(x.astype(np.float32), labels)


def test_classes_are_grouped_by_the_features_of_data(source: Callable[..., Program]) -> None:
    program = source("resnet8")
    options = {"branches": 4, "k": 2}
    data, seen = examples(program), list[tuple[str, int, int]]()
    made = convert(program, "dynk", data=data, progress=lambda *at: seen.append(at), **options)
    takes = Takes((3, 16, 16), 10)
    features = class_features(program, stream(data, takes), lambda *_: None)
    assert made.manifest.partition == partition(features, 4)
    assert made.manifest.partition != convert(program, "dynk", **options).manifest.partition
    assert seen[-1] == ("features of classes", 60, 60)
    groups = {tuple(t.settings["classes"]) for t in made.manifest.losses if "classes" in t.settings}
    assert groups == set(made.manifest.partition)


def test_what_pixels_went_through_is_recorded(
    source: Callable[..., Program], tmp_path: Path
) -> None:
    program, few = source("resnet8", fold=True), {"branches": 4, "k": 2}
    pixels = np.random.default_rng(0).integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x=pixels, y=np.arange(10))
    said: list[str] = []
    made = convert(
        program,
        "dynk",
        data=tmp_path / "data.npz",
        restore_batchnorm=pixels,
        mean=(0.5,),
        std=(0.25,),
        say=said.append,
        **few,
    )
    assert made.manifest.normalisation == Normalisation((0.5,) * 3, (0.25,) * 3)
    assert said == ["Normalisation of the pixels: as given."]
    made = convert(program, "dynk", restore_batchnorm=pixels, **few)
    assert made.manifest.normalisation == IMAGENET
    assert convert(program, "dynk", mean=(0.1,), **few).manifest.normalisation == Normalisation(
        (0.1,) * 3, (1.0,) * 3
    )
    assert convert(program, "dynk", **few).manifest.normalisation is None
    floats = pixels.transpose(0, 3, 1, 2).astype(np.float32)
    assert convert(program, "dynk", restore_batchnorm=floats, **few).manifest.normalisation is None


def test_data_that_does_not_fit_is_refused_before_anything_is_measured(
    source: Callable[..., Program],
) -> None:
    program, seen = source("resnet8", fold=True), list[tuple[str, int, int]]()
    good = np.zeros((4, 3, 16, 16), np.float32)
    with pytest.raises(DataError, match=r"\[4, 3, 8, 8\]"):
        convert(
            program,
            "dynk",
            data=Data(good[:, :, :8, :8], np.arange(4)),
            restore_batchnorm=good,
            progress=lambda *at: seen.append(at),
        )
    assert seen == []


def test_what_was_read_is_compared_with_the_file(zoo_file: Callable[..., Path]) -> None:
    file = zoo_file("resnet8", fold=True, dynamic_batch=False)
    program = read(file)
    made = convert(program, "dynk", branches=2, k=1, split="stage3")
    found = report(program, made, file=file)
    assert found.reading is not None and found.reading <= 1e-6
    (advice,) = found.warnings  # the file's BatchNormalizations are folded
    assert "--restore-batchnorm" in advice
    assert report(program, made).reading is None
    kernel = program.weight("fc.weight")
    program.set_weight("fc.weight", kernel * np.float32(1.01))
    moved = report(program, made, file=file)
    assert moved.reading == pytest.approx(0.01, rel=0.3)
    assert "was read differs" in moved.warnings[0]


def test_the_last_of_several_answers_is_compared_with_that_of_the_file(
    zoo_file: Callable[..., Path],
) -> None:
    file = zoo_file("msdnet", exits=3)
    program = read(file)
    made = convert(program, "exits")
    found = report(program, made, file=file)
    assert found.reading is not None and found.reading <= 1e-6
    assert not any("was read differs" in warning for warning in found.warnings)


def test_a_file_that_onnxruntime_cannot_run_is_not_compared(
    zoo_file: Callable[..., Path], tmp_path: Path
) -> None:
    program = read(zoo_file("resnet8"))
    made = convert(program, "dynk", branches=2, k=1, split="stage3")
    other = tmp_path / "other.onnx"
    model = onnx.load(zoo_file("resnet8"))
    model.opset_import[0].version = 99
    onnx.save(model, other)
    found = report(program, made, file=other)
    assert found.reading is None
    assert "could not be compared" in found.warnings[0]
